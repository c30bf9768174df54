"""An API key, as the ledger has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored: never the secret, only the SHA-256 of the whole key in hex."""

    id: str
    sha256: str
    name: str
    created_at: float = 0.0
    revoked_at: float | None = None
