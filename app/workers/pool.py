"""A Celery worker's pool: in each of its processes one resident worker, told through a pipe when to stop."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from celery import signals
from celery.exceptions import CPendingDeprecationWarning

from app.config import Settings
from app.logs import configure_logging
from app.workers.heap import one_heap
from app.workers.priority import stand_back
from app.workers.resident import Resident


class Pool:
    """Hears Celery's signals, of which some come in the program itself and some in its pool's processes.

    The pipe is made before the first fork, and what is written to it when the program shuts down is never
    read away, so that all pool processes see it. When the program is killed they end with it.
    """

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._heard, self._told = -1, -1
        self._resident: Resident | None = None

    @property
    def resident(self) -> Resident:
        """The worker of this process. Raises RuntimeError in a process that is none of a pool."""
        if self._resident is None:
            raise RuntimeError("no worker lives in this process: start Celery with --pool prefork or solo")
        return self._resident

    def connect(self) -> None:
        signals.setup_logging.connect(self._log, weak=False)
        signals.celeryd_after_setup.connect(self._hush, weak=False)
        signals.worker_init.connect(self._open, weak=False)
        signals.worker_process_init.connect(self._begin, weak=False)
        signals.worker_process_shutdown.connect(self._end, weak=False)
        signals.worker_shutting_down.connect(self._tell, weak=False)

    def _log(self, **_: Any) -> None:
        configure_logging(self._config.log_level, self._config.secrets)

    def _hush(self, **_: Any) -> None:
        """Celery has asked for all its warnings by now; at each loss of the broker there is one that tells of
        the default of a setting that is set."""
        warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced", CPendingDeprecationWarning)

    def _open(self, **_: Any) -> None:
        if not self._config.broker_url:
            # Celery logs what a receiver raises and goes on, unless it is this.
            sys.exit(
                "error: Celery workers need BROKER_URL (redis://host:6379/0), the same as the service's. "
                "Without it the service runs a worker of its own, and no Celery is needed."
            )
        stand_back()
        self._heard, self._told = os.pipe()

    def _begin(self, **_: Any) -> None:
        one_heap()
        self._resident = Resident(self._config, self._heard)
        self._resident.start()

    def _end(self, **_: Any) -> None:
        if self._resident:
            self._resident.stop()

    def _tell(self, **_: Any) -> None:
        os.write(self._told, b".")
