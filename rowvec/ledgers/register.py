"""What a ledger keeps beside tasks: namespaces, API keys, what accounts have used, paused providers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from rowvec.api_key import ApiKey
from rowvec.model import ProviderPause


def task_account(task_id: str) -> str:
    """Of the tokens of a task with a budget."""
    return f"task {task_id}"


class Register(ABC):
    # Namespaces

    @abstractmethod
    async def bind_namespace(self, namespace: str, model: str, dimension: int) -> None:
        """Remember what a namespace is filled with. Raises NamespaceTaken if it is another model
        or dimension; the message names both and says what to do."""

    # API keys

    @abstractmethod
    async def add_key(self, key: ApiKey, only_if_none: bool = False) -> bool:
        """Store a key. With only_if_none: only if there is no key at all (revoked ones count);
        of several at once exactly one returns True."""

    @abstractmethod
    async def key(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked or not."""

    @abstractmethod
    async def keys(self) -> list[ApiKey]: ...

    @abstractmethod
    async def revoke_key(self, key_id: str) -> None:
        """Raises UnknownKey. Idempotent."""

    @abstractmethod
    async def rotate_key(self, key_id: str, successor: ApiKey, until: float) -> None:
        """Store the successor; the key itself expires then, or earlier if it was to. Both or nothing.

        Raises UnknownKey, and WrongState for a key that is revoked or has expired.
        """

    # What keys may use

    @abstractmethod
    async def draw(self, account: str, amount: int, most: int, every: float = 0.0) -> bool:
        """Use so much of an account, unless it would then have used more than `most`: False, and nothing
        changed. All draws see each other, whichever process makes them. With `every`, what was used in an
        earlier period of so many seconds is forgotten. A negative amount gives back, and is never refused."""

    @abstractmethod
    async def drawn(self, account: str, every: float = 0.0) -> int:
        """What an account has used in the period that it is now."""

    # Providers

    @abstractmethod
    async def pause_provider(self, provider: str, reason: str) -> ProviderPause:
        """Note that nobody is to call that provider, until it is resumed. Idempotent: one that is paused
        already keeps its time and reason."""

    @abstractmethod
    async def resume_provider(self, provider: str) -> None:
        """Idempotent."""

    @abstractmethod
    async def provider_pauses(self) -> list[ProviderPause]:
        """By provider."""
