"""An API key, as the ledger has it, and what it allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter


class Scope(StrEnum):
    """What may be done; each holds those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def holds(self, needed: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Grants:
    """What a key allows. As it stands here: everything, as the one key of an embedded service does.

    A key of a `tenant` sees that tenant's tasks and uploads only; one of none is the operator's.
    `namespaces` are names, or prefixes that end in `*`; empty: all. `sources` are such patterns of `kind` or
    `kind:ref`, as callers name them (`upload`, `s3_csv:acme/*`, `metabase:42`); empty: all. Limits are None
    where there is none; keys that replace each other share one `account`, on which they are counted.
    """

    scope: Scope = Scope.ADMIN
    tenant: str = ""
    namespaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    account: str = ""
    requests_per_second: int | None = None
    queued_rows: int | None = None
    tokens_per_day: int | None = None

    @property
    def counts_tasks(self) -> bool:
        """Is anything limited that its tasks use up?"""
        return self.queued_rows is not None or self.tokens_per_day is not None

    def takes_namespace(self, name: str) -> bool:
        return not self.namespaces or any(_matches(pattern, name) for pattern in self.namespaces)

    def takes_source(self, kind: str, ref: str) -> bool:
        """A path that goes up and down again is taken by no prefix."""
        if not self.sources:
            return True
        winding = any(step in ("", ".", "..") for step in ref.replace("\\", "/").split("/"))
        named = f"{kind}:{ref}"
        return any(pattern in (kind, named) or _is_below(pattern, named, winding) for pattern in self.sources)

    def to_json(self) -> str:
        return _GRANTS.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Grants:
        return _GRANTS.validate_json(text)


_GRANTS: TypeAdapter[Grants] = TypeAdapter(Grants)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored: never the secret, only the SHA-256 of the whole key in hex."""

    id: str
    sha256: str
    name: str
    created_at: float = 0.0
    revoked_at: float | None = None
    expires_at: float | None = None
    grants: Grants = field(default_factory=Grants)

    def is_open(self, now: float) -> bool:
        """Neither revoked nor expired at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _is_below(pattern: str, named: str, winding: bool) -> bool:
    return pattern.endswith("*") and not winding and _matches(pattern, named)
