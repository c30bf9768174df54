"""Whom a key lets in, and what its owner may do."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.keys import EVERYTHING, SHAPE, digest, mistyped
from rowvec.api_key import ApiKey, Grants, Scope
from rowvec.errors import NotAllowed
from rowvec.ledgers.base import Ledger
from rowvec.spec import TaskSpec

OF_SETTINGS = "settings-"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key was presented, by its id, and what it allows."""

    id: str
    grants: Grants = EVERYTHING

    @property
    def account(self) -> str:
        """On which its limits are counted."""
        return self.grants.account or self.id

    def require(self, scope: Scope) -> None:
        """Raises NotAllowed where the key's scope does not hold this one."""
        if not self.grants.scope.holds(scope):
            raise NotAllowed(
                f"This API key may {self.grants.scope}; this needs a key of scope '{scope}'. Ask for one "
                f"that is made with: ./vectordb keys create --scope {scope}."
            )

    def require_operator(self) -> None:
        """Raises NotAllowed for keys of tenants: here the whole service is shown."""
        self.require(Scope.ADMIN)
        if self.grants.tenant:
            raise NotAllowed("This shows the whole service, and this API key belongs to one tenant of it.")

    def require_unbounded(self) -> None:
        """Raises NotAllowed for keys with bounds, which they could leave by making another key."""
        self.require_operator()
        if replace(self.grants, account="") != EVERYTHING:
            raise NotAllowed(
                "Keys are made with an operator's key of scope 'admin' that has no limits, namespaces or "
                "sources of its own."
            )

    def sees(self, spec: TaskSpec) -> bool:
        """Does a task with this spec exist, for this caller?"""
        grants = self.grants
        return grants.tenant in ("", spec.tenant) and grants.takes_namespace(spec.namespace)

    def require_namespace(self, name: str) -> None:
        """Raises NotAllowed, in the same words whether there is such a namespace or not."""
        if not self.grants.takes_namespace(name):
            raise NotAllowed(
                f"This API key may use the namespaces {', '.join(self.grants.namespaces)}; "
                f"{name[:128]!r} is none of them."
            )


class Keyring:
    """The keys of the settings and of the ledger. A revoked key stops working at once."""

    def __init__(self, ledger: Ledger, given: Sequence[str] = ()) -> None:
        self._ledger = ledger
        self._given = [digest(key) for key in given]

    async def caller(self, key: str) -> Caller | None:
        """Whose key this is, None when it opens nothing. Raises Unavailable."""
        presented = digest(key)
        given = [known for known in self._given if hmac.compare_digest(known, presented)]
        if given:
            return Caller(_settings_id(presented))
        shape = SHAPE.fullmatch(key)
        stored = await self._ledger.key(shape[1]) if shape and not mistyped(key) else None
        if stored is None or not hmac.compare_digest(stored.sha256, presented):
            return None
        return Caller(stored.id, stored.grants) if await self._is_open(stored) else None

    async def caller_by_id(self, key_id: str) -> Caller | None:
        """The same for a key that was presented before and is remembered by its id."""
        if key_id.startswith(OF_SETTINGS):
            given = any(key_id == _settings_id(known) for known in self._given)
            return Caller(key_id) if given else None
        stored = await self._ledger.key(key_id)
        return Caller(stored.id, stored.grants) if stored and await self._is_open(stored) else None

    async def owner(self) -> Caller | None:
        """Whose service it is: the first key of the settings, else the oldest of the operator's."""
        if self._given:
            return Caller(_settings_id(self._given[0]))
        for key in sorted(await self._ledger.keys(), key=lambda key: key.created_at):
            if key.grants.scope is Scope.ADMIN and not key.grants.tenant and await self._is_open(key):
                return Caller(key.id, key.grants)
        return None

    async def still_opens(self, caller: Caller) -> bool:
        """For what lasts longer than a request: has the key been revoked, or expired, meanwhile?"""
        return await self.caller_by_id(caller.id) is not None

    async def _is_open(self, key: ApiKey) -> bool:
        """The clock is asked only where it matters."""
        return key.is_open(await self._ledger.now() if key.expires_at is not None else 0.0)


def _settings_id(sha256: str) -> str:
    return f"{OF_SETTINGS}{sha256[:8]}"
