"""Tells workers that there may be work. Nothing depends on it: they look by themselves, too, only later."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.config import Settings
from rowvec.errors import Unavailable

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


class NoDoorbell(Doorbell):
    """The embedded worker looks four times a second."""

    async def ring(self) -> None:
        return

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
        except RedisError as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}. Check BROKER_URL.") from error
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


def doorbell_for(config: Settings) -> Doorbell:
    return CeleryDoorbell(config.broker_url) if config.broker_url else NoDoorbell()
