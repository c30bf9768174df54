"""Tells workers that there may be work. Nothing depends on it: they look by themselves, too, only later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from app.config import Settings
from rowvec.errors import CredentialsRefused, NotConfigured, Unavailable

log = structlog.get_logger(__name__)

_EXPIRES_SECONDS = 300
WORK = "vectordb.work"


class Doorbell(ABC):
    @abstractmethod
    async def ring(self) -> None:
        """Wake somebody. Never raises for a bell that does not work: it is logged."""

    @abstractmethod
    async def ping(self) -> bool:
        """False where there is none. Raises Unavailable when it does not answer."""


def _shown(url: str) -> str:
    """The address without user, password and options."""
    return url.partition("://")[2].rpartition("@")[2].partition("?")[0]


class LocalDoorbell(Doorbell):
    """Wakes the embedded worker where this process keeps it. Another's looks four times a second."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake

    async def ring(self) -> None:
        self._wake()

    async def ping(self) -> bool:
        return False


class CeleryDoorbell(Doorbell):
    """One message, for whichever process is free. After a broker was emptied the second try declares anew."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ping(self) -> bool:
        try:
            async with Redis.from_url(self._url, socket_timeout=2, socket_connect_timeout=2) as redis:
                await redis.ping()
        except (AuthenticationError, NoPermissionError) as error:
            raise CredentialsRefused(
                "Redis refuses the user or the password in BROKER_URL. Set them right there."
            ) from error
        except RedisError as error:
            raise Unavailable(
                f"Redis at {_shown(self._url)} does not answer: {str(error).rstrip('.')}. "
                "Start it, or set BROKER_URL right."
            ) from error
        return True

    async def ring(self) -> None:
        await asyncio.to_thread(self._ring)

    def _ring(self) -> None:
        from app.workers.celery_app import app

        for last in (False, True):
            try:
                app.send_task(WORK, expires=_EXPIRES_SECONDS, retry=False)
                return
            except Exception as error:  # noqa: BLE001 - kombu, redis and sockets each have a tree of their own
                app.pool.force_close_all()
                app.amqp._producer_pool = None
                if last:
                    log.warning("doorbell_not_working", error=type(error).__name__)


def check_broker(config: Settings) -> None:
    """Raises NotConfigured where BROKER_URL is the address of no Redis."""
    if config.broker_url and not _is_redis(config.broker_url):
        raise NotConfigured(
            "BROKER_URL must be redis://host:6379/0 or rediss://…, with a password "
            "redis://:password@host:6379/0; leave it empty for the embedded worker."
        )


def _is_redis(url: str) -> bool:
    try:
        Redis.from_url(url)
    except ValueError:
        return False
    return url.startswith(("redis://", "rediss://"))


def doorbell_for(config: Settings) -> Doorbell:
    """For who keeps no worker."""
    return CeleryDoorbell(config.broker_url) if config.broker_url else LocalDoorbell()
