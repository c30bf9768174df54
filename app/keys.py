"""API keys: how they look, which are refused, and whose a presented one is.

A key reads `vdb_live_<id>_<secret>_<crc>`: 12 hex characters to find it by, 256 random bits in hex,
and the CRC-32 of all before it, so that a typo is told apart from a wrong key without a look-up.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import replace

from rowvec.api_key import ApiKey, Grants
from rowvec.errors import InvalidRequest, NotConfigured
from rowvec.ledgers.base import Ledger

PREFIX = "vdb_live_"
MIN_LENGTH = 32
EVERYTHING = Grants()
RESENT = "rejected"
"""The ids of tables that are sent in again begin like this, and uploads of tenants with their names."""
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
PUBLISHED = frozenset({"d4f82ad81b45ff47b6a578408e1a5c8989a4019256cbf072e8ca3c19b8bc2fca"})
"""SHA-256, in hex, of keys that once stood in a public document."""

SHAPE = re.compile(r"vdb_live_([0-9a-f]{12})_[0-9a-f]{64}_([0-9a-f]{8})")
_HOLE = re.compile(r"<[^>]*>|\$\{|\{\{|(?<![a-z0-9])x{4,}(?![a-z0-9])|x{6,}", re.IGNORECASE)
_FILLER = (
    "yourapikey", "yoursecret", "yourkey", "apikeyhere", "keyhere", "changeme", "changethis", "replaceme",
    "replacethis", "insertyour", "placeholder", "example", "secretkey", "supersecret", "dummykey", "testkey",
    "password", "abcdefgh", "12345678",
)  # fmt: skip


def digest(key: str) -> str:
    """SHA-256 of a whole key, in hex: the only form in which keys are kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def make_key(
    name: str, created_at: float, grants: Grants = EVERYTHING, expires_at: float | None = None
) -> tuple[ApiKey, str]:
    """A new key as it is stored, and the key itself, which nobody can show again."""
    key_id = secrets.token_hex(6)
    body = f"{PREFIX}{key_id}_{secrets.token_hex(32)}"
    key = f"{body}_{_checksum(body)}"
    grants = replace(grants, account=grants.account or key_id)
    return ApiKey(key_id, digest(key), name, created_at, None, expires_at, grants), key


def for_tenant(tenant: str, grants: Grants) -> Grants:
    """The same for a tenant: unless others are given, the namespaces `TENANT` and `TENANT.…`, and uploads.

    Raises InvalidRequest.
    """
    if not TENANT.fullmatch(tenant) or tenant == RESENT:
        raise InvalidRequest(
            f"{tenant[:80]!r} cannot be a tenant: 1 to 31 small letters, digits and '-', and not '{RESENT}'.",
            "tenant",
        )
    return replace(
        grants,
        tenant=tenant,
        namespaces=grants.namespaces or (tenant, f"{tenant}.*"),
        sources=grants.sources or ("upload",),
    )


def successor(key: ApiKey, now: float, expires_at: float | None = None) -> tuple[ApiKey, str]:
    """A new key that allows what this one does, on the same account."""
    grants = replace(key.grants, account=key.grants.account or key.id)
    return make_key(key.name, now, grants, expires_at)


def mistyped(key: str) -> bool:
    """Does this mean to be one of our keys, and cannot be one?"""
    if not key.startswith(PREFIX):
        return False
    shape = SHAPE.fullmatch(key)
    return shape is None or shape[2] != _checksum(key.rpartition("_")[0])


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def refusal(key: str, published: frozenset[str] = PUBLISHED) -> str | None:
    """Why this may never be a key, in words that do not repeat it; None when it may."""
    if digest(key) in published:
        return "was published and is known to everybody"
    if len(key) < MIN_LENGTH:
        return f"has {len(key)} characters; {MIN_LENGTH} are the least"
    if not (key.isascii() and key.isprintable()) or " " in key:
        return "holds characters that an HTTP header cannot carry"
    if _is_placeholder(key):
        return "is a placeholder, not a secret"
    return None


def _is_placeholder(key: str) -> bool:
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return (
        _HOLE.search(key) is not None
        or any(filler in plain for filler in _FILLER)
        or len(set(plain)) < 8
        or any(key[period:] == key[:-period] for period in range(1, len(key) // 2 + 1))
    )


def check_given(given: Sequence[str]) -> None:
    """Raises NotConfigured for the first of `API_KEYS` that may not be a key, by its place in the list."""
    for place, key in enumerate(given, 1):
        if why := refusal(key):
            raise NotConfigured(
                f"Key {place} of API_KEYS {why}. Use a random secret of {MIN_LENGTH} characters or more, "
                "for example the output of: openssl rand -hex 32"
            )


async def first_key(ledger: Ledger) -> str | None:
    """The key of a service that had none; None when there is one, or another process was faster."""
    stored, key = make_key("first key", await ledger.now())
    return key if await ledger.add_key(stored, only_if_none=True) else None
