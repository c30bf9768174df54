"""The stand-in itself: who may ask, how fast, at what price, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio
import math
import random
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from standins.buckets import Bucket, wait_for_all
from standins.desk import JSON
from standins.faults import Faults
from standins.openai import refusals, reply, wish
from standins.openai.refusals import Refused
from standins.openai.settings import FAULTS, LOSING, Settings
from standins.openai.till import Till
from standins.openai.wish import Wish
from standins.web import Answer, Hang, Request, Vanish

CUT_AT = 0.6
"""The share of a body that is sent before it is cut."""


class OpenAI:
    """`POST /v1/embeddings` as OpenAI answers it, under `settings`."""

    def __init__(self) -> None:
        self._given = Settings()
        self._faults = Faults(FAULTS, {})
        self.inquiries: dict[str, Callable[[Any], Any]] = {"billed": self._billed, "lost": self._lost}
        self.reset()

    @property
    def settings(self) -> Settings:
        """As they were given, with what is left of the script."""
        return msgspec.structs.replace(self._given, script=self._faults.script)

    def apply(self, settings: Settings) -> None:
        rates = _rates(settings) != _rates(self._given)
        self._given = settings
        self._faults = Faults(FAULTS, settings.faults, settings.script)
        if rates:
            self._fill_buckets()

    def reset(self) -> None:
        self._till = Till()
        self._faults = Faults(FAULTS, self._given.faults)
        self._dice = random.Random(self._given.seed)  # noqa: S311 - chance, not secrets
        self._fill_buckets()

    def counters(self) -> dict[str, Any]:
        return self._till.counted()

    def _billed(self, asked: Any) -> list[int]:
        return self._till.times(asked["texts"])

    def _lost(self, asked: Any) -> list[int]:
        return self._till.times_lost(asked["texts"])

    def _fill_buckets(self) -> None:
        settings = self._given
        tokens = settings.tokens_per_minute / 60 if settings.tokens_per_minute else None
        self._requests = Bucket(settings.requests_per_second, settings.requests_hold)
        self._tokens = Bucket(tokens, settings.tokens_hold)

    async def handle(self, request: Request) -> Answer:
        began = self._now()
        self._till.requests += 1
        try:
            answer = await self._embed(request, began)
        except Refused as refused:
            answer = refused.answer
        self._till.answered[answer.status] += 1
        return Answer(answer.status, answer.body, self._headers(began) | dict(answer.headers), answer.sent)

    async def _embed(self, request: Request, began: float) -> Answer:
        self._check_caller(request)
        wished = wish.read(request.body, self._given.marker, self._given.spoilt)
        self._pace(wished)
        fault = self._faults.draw(self._dice)
        if fault:
            self._till.faults[fault] += 1
        await self._fail_early(fault)
        if wished.marked:
            await self._linger(began)
            raise refusals.bad_field("input")
        self._till.bill(wished.hashes, wished.tokens)
        if fault in LOSING:
            self._till.lose(wished.hashes)
        parts = reply.body(wished, fault)
        await self._linger(began)
        return await self._sent(parts, fault)

    def _check_caller(self, request: Request) -> None:
        if (request.method, request.path) != ("POST", "/v1/embeddings"):
            raise refusals.no_such_path(request.method, request.path)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key:
            raise refusals.no_key()
        if self._given.key is not None and key != self._given.key:
            raise refusals.wrong_key(key)
        code = self._unpaid()
        if code:
            self._till.billing_refusals += 1
            raise refusals.not_paid(code)

    def _unpaid(self) -> str | None:
        credit = self._given.credit_tokens
        if credit is not None and self._till.tokens_billed >= credit:
            return "insufficient_quota"
        return self._given.billing

    def _pace(self, wished: Wish) -> None:
        """Take it from both buckets, or refuse it."""
        demands = [(self._requests, 1.0), (self._tokens, float(wished.tokens))]
        seconds, bucket = wait_for_all(demands, self._now())
        if bucket is None:
            return
        self._till.rate_refusals += 1
        kind = "tokens" if bucket is self._tokens else "requests"
        asked = wished.tokens if kind == "tokens" else 1
        raise refusals.too_fast(wished.model, kind, round(bucket.rate * 60), asked, seconds)

    async def _fail_early(self, fault: str | None) -> None:
        """What goes wrong before anything is done."""
        if fault in ("error-500", "error-503"):
            raise refusals.broken(int(fault[-3:]))
        if fault == "hang":
            raise Hang
        if fault == "vanish":
            raise Vanish

    async def _sent(self, parts: list[bytes], fault: str | None) -> Answer:
        """The answer, or what goes wrong once it is billed."""
        if fault == "billed-vanish":
            raise Vanish
        if fault == "billed-hang":
            raise Hang
        return Answer(200, parts, JSON, CUT_AT if fault == "cut" else 1.0)

    async def _linger(self, began: float) -> None:
        """Until the answer has taken as long as it is meant to."""
        left = self._given.latency.draw(self._dice) - (self._now() - began)
        if left > 0:
            await asyncio.sleep(left)

    def _headers(self, began: float) -> dict[str, str]:
        headers = {
            "x-request-id": f"req_{uuid.uuid4().hex}",
            "openai-processing-ms": str(round((self._now() - began) * 1000)),
            "openai-version": "2020-10-01",
        }
        if self._given.shows_limits:
            headers |= _limits("requests", self._requests, self._now())
            headers |= _limits("tokens", self._tokens, self._now())
        return headers

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _rates(settings: Settings) -> tuple[float | None, ...]:
    return (
        settings.requests_per_second, settings.tokens_per_minute,
        settings.requests_hold, settings.tokens_hold,
    )  # fmt: skip


def _limits(kind: str, bucket: Bucket, now: float) -> dict[str, str]:
    """The x-ratelimit headers: OpenAI tells them by the minute, however little its bucket holds."""
    if math.isinf(bucket.rate):
        return {}
    used = bucket.size - bucket.left(now)
    return {
        f"x-ratelimit-limit-{kind}": str(round(bucket.rate * 60)),
        f"x-ratelimit-remaining-{kind}": str(math.floor(bucket.rate * 60 - used)),
        f"x-ratelimit-reset-{kind}": duration(bucket.full_in(now)),
    }


def duration(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{minutes:.0f}m{rest:g}s" if minutes else f"{rest:g}s"
