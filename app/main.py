"""The service: `uvicorn app.main:app`. Everything is read and opened when it starts, not on import."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Any

import structlog
from fastapi import FastAPI

from app import keys, logs
from app.api import errors
from app.api.headers import SecurityHeaders
from app.api.limits import BodyLimit
from app.api.metrics import Answers
from app.api.openapi import describe
from app.api.precedence import ShortFirst
from app.api.routes import router
from app.api.service import Service
from app.api.traffic import Traffic
from app.assembly import assemble
from app.callers import Keyring
from app.cloudwatch.reporter import reporting
from app.cloudwatch.service import OfAnswers, OfEverybody
from app.config import Settings, settings
from app.web.refusals import for_people
from app.web.routes import router as pages
from app.web.site import Site
from app.workers.doorbell import LocalDoorbell, check_broker, doorbell_for
from app.workers.embedded import Supervisor
from rowvec import __version__
from rowvec.machine import Machine

log = structlog.get_logger(__name__)

SWITCH_SECONDS = 0.001
"""Between threads: with Python's own 0.005 an answer of the ledger waits as long for each of its steps."""
Lifespan = Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]


def create_app(read: Callable[[], Settings] = settings) -> FastAPI:
    """The app; `read` gives its settings when it starts."""
    answers = Answers()
    app = _Door(
        title="ec2-vectordb-api",
        description="Turns a table into a vector index and proves that every row arrived.",
        version=__version__,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(read, answers),
    )
    app.include_router(router)
    app.include_router(pages)
    errors.install(app, for_people)
    # The last one added meets a request first.
    app.add_middleware(ShortFirst)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Traffic, answers=answers)
    return app


class _Door(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return describe(self)


def _lifespan(read: Callable[[], Settings], answers: Answers) -> Lifespan:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        config = read()
        given = [key.get_secret_value() for key in config.api_keys]
        logs.configure_logging(config.log_level, config.secrets)
        _check(config, given)
        machine = assemble(config)
        supervisor = None if config.broker_url else Supervisor(config)
        try:
            await machine.ledger.ready()
            if not given:
                await _hand_out_first_key(machine)
            doorbell = LocalDoorbell(supervisor.wake) if supervisor else doorbell_for(config)
            service = Service(config, machine, Keyring(machine.ledger, given), answers, doorbell)
            app.state.service = service
            app.state.site = Site.open(config)
            if supervisor:
                await supervisor.start()
            else:
                await machine.warm_up()
            _leave_out_of_collections()
            sys.setswitchinterval(SWITCH_SECONDS)
            with _hearing_the_stop(service.stopping):
                warming = _warming_up(machine) if supervisor else contextlib.nullcontext()
                async with warming, _watched_by_cloudwatch(config, machine, answers):
                    yield
        finally:
            if supervisor:
                await supervisor.stop()
            await machine.close()

    return lifespan


@contextlib.asynccontextmanager
async def _warming_up(machine: Machine) -> AsyncIterator[None]:
    """An embedded service is there at once, and loads meanwhile what its first search would load: every
    answer would wait for it then."""
    warming = asyncio.create_task(_warm_up(machine))
    try:
        yield
    finally:
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)


async def _warm_up(machine: Machine) -> None:
    try:
        await machine.warm_up()
    except Exception as error:  # noqa: BLE001 - whoever uses it first is told; the service is there without it
        log.warning("not_warmed_up", error=machine.redact(str(error)))
    _leave_out_of_collections()


def _watched_by_cloudwatch(
    config: Settings, machine: Machine, answers: Answers
) -> contextlib.AbstractAsyncContextManager[None]:
    seen = OfAnswers()
    if config.cloudwatch_metrics:
        answers.tell(seen.add)
    return reporting(config, seen, OfEverybody(machine, config.data))


def _leave_out_of_collections() -> None:
    """What is there now lives as long as the process; to look through it again held answers up to 80 ms."""
    gc.collect()
    gc.freeze()


def _check(config: Settings, given: list[str]) -> None:
    keys.check_given(given)
    check_broker(config)


async def _hand_out_first_key(machine: Machine) -> None:
    """Of several processes that start at once, one makes the key and shows it, once."""
    key = await keys.first_key(machine.ledger)
    if key:
        sys.stderr.write(
            "\nThis service had no API key, so one was made. It is shown only this once; keep it:\n\n"
            f"    {key}\n\nSend it in the X-API-Key header.\n\n"
        )
        sys.stderr.flush()


@contextlib.contextmanager
def _hearing_the_stop(stopping: asyncio.Event) -> Iterator[None]:
    """Servers end the lifespan only after every open stream: so streams must hear the signal itself."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stopping.set)
        then = before[signal.Signals(number)]
        if callable(then):
            then(number, frame)

    # A server's own handler is needed to end the process; without one the default must stay.
    heard = threading.current_thread() is threading.main_thread() and all(map(callable, before.values()))
    if heard:
        for number in before:
            signal.signal(number, hear)
    try:
        yield
    finally:
        if heard:
            for number, handler in before.items():
                signal.signal(number, handler)


app = create_app()
