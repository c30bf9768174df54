"""The settings of this embedder, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rowvec.embedders.openai.models import KNOWN, MAX_REQUEST_TOKENS, MAX_TOKENS
from rowvec.errors import NotConfigured
from rowvec.rates import Rates

OPENAI = "https://api.openai.com/v1"
REQUESTS_PER_SECOND = 20.0
MOST_DIMENSIONS = 65_536


@dataclass(frozen=True, slots=True)
class Options:
    """`send_dimensions` is what requests ask for, None where the model gives what it has.

    `rates` are those set by hand, with 20 requests a second where none are; `told` says which of them the
    provider's own take the place of.
    """

    key: str = field(repr=False)
    base_url: str
    model: str
    dimension: int
    send_dimensions: int | None
    max_tokens: int
    max_request_tokens: int
    price: float
    rates: Rates
    sets_requests: bool
    tiktoken_folder: str

    @classmethod
    def read(cls, settings: Mapping[str, str]) -> Options:
        """Raises NotConfigured, which names the setting and says what to do."""
        base_url = _base_url(settings)
        model = settings.get("OPENAI_MODEL") or "text-embedding-3-small"
        dimension, shortened = _dimension(settings, model)
        known = KNOWN.get(model)
        price = _number(settings, "OPENAI_PRICE", least=0.0)
        requests = _number(settings, "OPENAI_REQUESTS_PER_SECOND")
        return cls(
            key=_key(settings, base_url),
            base_url=base_url,
            model=model,
            dimension=dimension,
            send_dimensions=dimension if shortened else None,
            max_tokens=_whole(settings, "OPENAI_MAX_TOKENS", 1 << 20) or MAX_TOKENS,
            max_request_tokens=_whole(settings, "OPENAI_REQUEST_TOKENS", 1 << 30) or MAX_REQUEST_TOKENS,
            price=price if price is not None else known.price if known else 0.0,
            rates=Rates(requests or REQUESTS_PER_SECOND, _number(settings, "OPENAI_TOKENS_PER_MINUTE")),
            sets_requests=requests is not None,
            tiktoken_folder=settings.get("TIKTOKEN_CACHE_DIR") or "",
        )


def _base_url(settings: Mapping[str, str]) -> str:
    url = (settings.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise NotConfigured(
            "OPENAI_BASE_URL must be an http:// or https:// address without a password in it, "
            f"such as {OPENAI} or http://localhost:11434/v1."
        )
    return url


def _key(settings: Mapping[str, str], base_url: str) -> str:
    key = (settings.get("OPENAI_API_KEY") or "").strip()
    if not key and urlsplit(base_url).hostname == urlsplit(OPENAI).hostname:
        raise NotConfigured(
            "The embedder 'openai' needs OPENAI_API_KEY, the key of the account that pays: see "
            "https://platform.openai.com/api-keys. A server of your own is named with OPENAI_BASE_URL."
        )
    if not (key.isascii() and key.isprintable()):
        raise NotConfigured("OPENAI_API_KEY has characters that no key has: copy it again.")
    return key


def _dimension(settings: Mapping[str, str], model: str) -> tuple[int, bool]:
    """The dimension, and whether it is a shorter one that requests have to ask for."""
    given = _whole(settings, "OPENAI_DIMENSIONS", MOST_DIMENSIONS)
    known = KNOWN.get(model)
    if known is None and given is None:
        raise NotConfigured(
            f"OPENAI_MODEL is '{model}', which is none of {', '.join(sorted(KNOWN))}: "
            "say with OPENAI_DIMENSIONS how many dimensions its vectors have."
        )
    if known is None or given is None:
        return given or (known.dimension if known else 0), False
    if given > known.dimension or (given < known.dimension and not known.shortens):
        shorter = "1 to " if known.shortens else ""
        raise NotConfigured(
            f"OPENAI_DIMENSIONS is {given}; {model} has {shorter}{known.dimension}. Mend or unset it."
        )
    return given, given < known.dimension


def _whole(settings: Mapping[str, str], name: str, most: int) -> int | None:
    text = settings.get(name) or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise NotConfigured(f"{name} is '{text}'; it must be a whole number from 1 to {most}.")
    return int(text)


def _number(settings: Mapping[str, str], name: str, least: float = 1e-9) -> float | None:
    text = settings.get(name) or ""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        raise NotConfigured(
            f"{name} is '{text}'; it must be a number {'of 0 or more' if not least else 'above 0'}."
        )
    return number
