"""One JSON line an event, on stderr: ids and counts, never a row's text and never a key."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rowvec.redaction import Redactor


class _Redacted:
    """The last step of a line's making."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redact = Redactor(secrets)

    def __call__(self, _logger: WrappedLogger, _method: str, line: str | bytes | EventDict) -> str:
        return self._redact(str(line))


class _LoggedAlready(logging.Filter):
    """The error handler has told of it with the request's id; the server would tell it again."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Exception in ASGI application")


def configure_logging(level: str, secrets: Iterable[str] = ()) -> None:
    """Send every logger of this process through one JSON formatter. Call once, early."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
                _Redacted(secrets),
            ],
        )
    )
    _leave_out_what_no_line_shows()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    _adopt_servers()


def _leave_out_what_no_line_shows() -> None:
    """The place in the code, thread and process of each call: half of what a line costs."""
    vars(logging)["_srcfile"] = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _adopt_servers() -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    errors = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, _LoggedAlready) for known in errors.filters):
        errors.addFilter(_LoggedAlready())
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
