"""Celery: `celery -A app.workers.celery_app worker`. The message is a doorbell, the ledger decides.

No result backend, no chord, nothing but JSON, and a message holds nothing: one that is lost or doubled
costs a few seconds at most, for each process also looks into the ledger by itself. It is acknowledged late:
else a busy program would take the next one, too, and keep it from those that are idle.
"""

from __future__ import annotations

from celery import Celery

from app.config import Settings, settings
from app.workers.pool import Pool

QUEUE = "vectordb"
BROKER_SECONDS = 5.0
"""Seconds after which a broker that does not answer counts as away."""

_VISIBILITY_SECONDS = 600
_SHUTDOWN_SECONDS = 30.0
_MOST_KILOBYTES = 2_000_000


def make(config: Settings) -> Celery:
    """The app for these settings. Without BROKER_URL it can be made, but not used."""
    made = Celery("vectordb", broker=config.broker_url or None, include=["app.workers.tasks"])
    made.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        worker_concurrency=config.max_workers,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        # With it Celery would end the process that hears a message whose broker is lost, with chunks in its
        # hands, for a message that costs nothing when it comes twice. Celery 6 does so unless told.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_max_memory_per_child=_MOST_KILOBYTES,
        worker_soft_shutdown_timeout=_SHUTDOWN_SECONDS,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=BROKER_SECONDS,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_SECONDS,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": BROKER_SECONDS,
            "socket_connect_timeout": BROKER_SECONDS,
        },
    )
    return made


app = make(settings())
pool = Pool(settings())
pool.connect()
