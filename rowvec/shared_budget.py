"""The budget of many processes and hosts: kept in Redis, reckoned there, on Redis's own clock."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from rowvec.budget import REQUEST_BURST, SLACK, TOKEN_BURST, Budget, LocalBudget
from rowvec.rates import Rates

log = structlog.get_logger(__name__)
T = TypeVar("T")

MEMBER_SECONDS = 60
"""How long a process counts as one of those that share, after it last asked."""

AWAY_SECONDS = 1.0
"""For so long Redis is not asked again after it did not answer."""

_PATIENCE_SECONDS = 2.0
_FORGET_SECONDS = 3600

# What is not there starts with nothing in hand: after a flush nobody sends a burst. So who will book joins
# before, and the seconds until then count.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local key, op = KEYS[1], ARGV[1]
local amount = tonumber(ARGV[2])
local rps, tpm = tonumber(ARGV[3]), tonumber(ARGV[4])
local request_burst, token_burst, slack = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local told = redis.call('HMGET', key, 'requests', 'tokens', 'resume', 'rps', 'tpm')
local requests, tokens = tonumber(told[1]) or now, tonumber(told[2]) or now
local resume = tonumber(told[3]) or 0
if op == 'observe' then
  if rps > 0 then redis.call('HSET', key, 'rps', ARGV[3]) end
  if tpm > 0 then redis.call('HSET', key, 'tpm', ARGV[4]) end
else
  rps, tpm = tonumber(told[4]) or rps, tonumber(told[5]) or tpm
end
local function advance(at, burst, more, rate)
  if rate <= 0 then return at end
  return math.max(at, now - burst) + more / rate
end
local wait = 0
if op == 'book' then
  requests = advance(requests, math.max(request_burst, rps > 0 and 1 / rps or 0), 1, rps)
  if rps > 0 then wait = math.max(wait, requests - now) end
end
if op == 'book' or op == 'correct' then
  tokens = advance(tokens, token_burst, amount, tpm / 60)
  if op == 'book' and tpm > 0 then wait = math.max(wait, tokens - now) end
end
if op == 'pause' then
  resume = math.max(resume, now + amount)
  requests, tokens = math.max(requests, resume + slack), math.max(tokens, resume + slack)
end
redis.call('HSET', key, 'requests', string.format('%.6f', requests), 'tokens', string.format('%.6f', tokens),
  'resume', string.format('%.6f', resume))
redis.call('EXPIRE', key, ARGV[9])
local members = key .. ':members'
redis.call('ZADD', members, now, ARGV[8])
redis.call('ZREMRANGEBYSCORE', members, '-inf', now - ARGV[10])
redis.call('EXPIRE', members, ARGV[9])
local quiet = math.max(0, resume - now)
return {string.format('%.6f', wait), string.format('%.6f', quiet), tostring(rps), tostring(tpm),
  redis.call('ZCARD', members)}
"""


class SharedBudget(Budget):
    """One schedule for all who use the same Redis and `name`.

    While Redis is away each process takes its share of the rates, divided by how many shared them last.
    """

    def __init__(self, url: str, name: str, rates: Rates) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=_PATIENCE_SECONDS, socket_connect_timeout=_PATIENCE_SECONDS
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._key = f"vectordb:budget:{name}"
        self._member = uuid.uuid4().hex
        self._rates = rates
        self._members = 1
        self._away_until = 0.0
        self._share: LocalBudget | None = None

    @property
    def rates(self) -> Rates:
        return self._rates

    async def join(self) -> None:
        await self._shared("join", 0, lambda share: share.quiet())

    async def book(self, tokens: int) -> float:
        return await self._shared("book", tokens, lambda share: share.book(tokens))

    async def correct(self, tokens: int) -> None:
        await self._shared("correct", tokens, lambda share: _nothing(share.correct(tokens)))

    async def observe(self, rates: Rates) -> None:
        rates = rates.or_else(self._rates)
        if rates != self._rates:
            self._rates = rates
            await self._shared("observe", 0, lambda share: _nothing(share.observe(self._part())))

    async def pause(self, seconds: float) -> None:
        await self._shared("pause", seconds, lambda share: _nothing(share.pause(seconds)))

    async def quiet(self) -> float:
        return await self._shared("quiet", 0, lambda share: share.quiet(), quiet=True)

    async def watched(self) -> tuple[Rates, float]:
        """While Redis is away, what was known last, and no pause."""
        try:
            told = await self._redis.hmget(self._key, ["rps", "tpm", "resume"])
            clock = await self._redis.time()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("budget_not_watched", error=type(error).__name__)
            return self._rates, 0.0
        requests, tokens, resume = (float(value) if value else None for value in told)
        left = (resume or 0.0) - clock[0] - clock[1] / 1e6
        return Rates(requests, tokens).or_else(self._rates), max(0.0, left)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _shared(
        self,
        operation: str,
        amount: float,
        alone: Callable[[LocalBudget], Awaitable[float]],
        quiet: bool = False,
    ) -> float:
        """The wait, or what is left of the pause, as all know it; else as this process does `alone`."""
        if time.monotonic() >= self._away_until:
            try:
                waits = await self._ask(operation, amount)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("budget_not_shared", error=type(error).__name__, members=self._members)
                self._away_until = time.monotonic() + AWAY_SECONDS
            else:
                self._share = None
                return waits[1 if quiet else 0]
        self._share = self._share or LocalBudget(self._part())
        return await alone(self._share)

    async def _ask(self, operation: str, amount: float) -> tuple[float, float]:
        rates = self._rates
        answer = await self._script(
            [self._key],
            [
                operation, amount, rates.requests_per_second or 0, rates.tokens_per_minute or 0,
                REQUEST_BURST, TOKEN_BURST, SLACK, self._member, _FORGET_SECONDS, MEMBER_SECONDS,
            ],
        )  # fmt: skip
        wait, quiet, requests, tokens, members = map(float, answer)
        self._rates = Rates(requests or None, tokens or None)
        self._members = max(1, int(members))
        return wait, quiet

    def _part(self) -> Rates:
        """What each of those who shared may take for itself."""
        requests, tokens = self._rates.requests_per_second, self._rates.tokens_per_minute
        return Rates(requests and requests / self._members, tokens and tokens / self._members)


async def _nothing(done: Awaitable[None]) -> float:
    await done
    return 0.0
