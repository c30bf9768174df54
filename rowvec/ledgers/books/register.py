"""The register of a ledger over books."""

from __future__ import annotations

from dataclasses import replace

from rowvec.api_key import ApiKey
from rowvec.errors import NamespaceTaken, UnknownKey, WrongState
from rowvec.ledgers.books import queue
from rowvec.ledgers.books.book import Book, Filling
from rowvec.ledgers.books.transactions import Transactions
from rowvec.ledgers.register import Register
from rowvec.model import ProviderPause


class BookRegister(Transactions, Register):
    # Namespaces

    async def bind_namespace(self, namespace: str, model: str, dimension: int) -> None:
        wanted = Filling(model, dimension)

        def bind(book: Book) -> None:
            book.alone(f"namespace {namespace}")
            there = book.filling(namespace)
            if there is None:
                book.fill(namespace, wanted)
            elif there != wanted:
                raise NamespaceTaken(
                    f"The namespace '{namespace}' is filled by {there.model} ({there.dimension} dimensions), "
                    f"not by {model} ({dimension} dimensions). Use another namespace, or that model."
                )

        there = await self._read(lambda book: book.filling(namespace))
        if there != wanted:  # but for the first time it is
            await self._write(bind)

    # API keys

    async def add_key(self, key: ApiKey, only_if_none: bool = False) -> bool:
        """False also when a key of that id is there already: a key is never overwritten."""

        def add(book: Book) -> bool:
            book.alone("keys")
            if book.key(key.id) is not None or (only_if_none and book.keys()):
                return False
            book.put_key(key)
            return True

        return await self._write(add)

    async def key(self, key_id: str) -> ApiKey | None:
        return await self._read(lambda book: book.key(key_id))

    async def keys(self) -> list[ApiKey]:
        return await self._read(lambda book: book.keys())

    async def revoke_key(self, key_id: str) -> None:
        def revoke(book: Book) -> None:
            book.alone("keys")
            key = book.key(key_id)
            if key is None:
                raise UnknownKey(f"There is no API key '{key_id}'.")
            if key.revoked_at is None:
                book.put_key(replace(key, revoked_at=book.now))

        await self._write(revoke)

    async def rotate_key(self, key_id: str, successor: ApiKey, until: float) -> None:
        def rotate(book: Book) -> None:
            book.alone("keys")
            key = book.key(key_id)
            if key is None:
                raise UnknownKey(f"There is no API key '{key_id}'.")
            if not key.is_open(book.now) or book.key(successor.id) is not None:
                raise WrongState(f"The API key '{key_id}' opens nothing any more. Make a new one.")
            end = until if key.expires_at is None else min(until, key.expires_at)
            book.put_key(successor)
            book.put_key(replace(key, expires_at=end))

        await self._write(rotate)

    # What keys may use

    async def draw(self, account: str, amount: int, most: int, every: float = 0.0) -> bool:
        return await self._write(lambda book: queue.draw(book, queue.Draw(account, amount, most, every)))

    async def drawn(self, account: str, every: float = 0.0) -> int:
        now = await self.now()
        return await self._read(lambda book: queue.used(book, account, every, now))

    # Providers

    async def pause_provider(self, provider: str, reason: str) -> ProviderPause:
        def pause(book: Book) -> ProviderPause:
            book.alone("pauses")
            there = next((known for known in book.pauses() if known.provider == provider), None)
            if there is None:
                there = ProviderPause(provider, book.now, reason)
                book.put_pause(there)
            return there

        return await self._write(pause)

    async def resume_provider(self, provider: str) -> None:
        await self._write(lambda book: book.drop_pause(provider))

    async def provider_pauses(self) -> list[ProviderPause]:
        return await self._read(lambda book: book.pauses())
