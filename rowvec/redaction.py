"""Secrets, taken out of words before they are logged, recorded or answered.

Whoever writes a message keeps secrets out of it; this stands behind that, for the day when a provider
repeats a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import unquote

from rowvec.errors import RowvecError

E = TypeVar("E", bound=Exception)

INSTEAD = "[secret]"
SHORTEST = 8
"""Characters of a secret that is known by its value: a shorter one would be found in ordinary words."""

_NAMES = re.compile(r"(?:_KEY|_KEYS|_KEY_ID|_SECRET|_TOKEN|PASSWORD)$")
_IN_URL = re.compile(r"//[^/\s:@]*:([^/\s@]+)@")
_LOOKS = (
    r"vdb_live_\w+|\bsk-[A-Za-z0-9_-]{16,}|\bpcsk_\w{16,}|\bmb_[A-Za-z0-9+/=]{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|//[^/\s:@]*:[^/\s@]+@"
)

_BEGINNINGS = ("vdb_live_", "sk-", "pcsk_", "mb_", "AKIA", "//")
"""Of all that looks like a secret: a text without one of them is not searched, which is what takes
time."""


def secrets_in(settings: Mapping[str, str]) -> list[str]:
    """The values of settings that are secrets by their names, and the passwords in all that are addresses."""
    found = []
    for name, value in settings.items():
        if _NAMES.search(name):
            found += [part.strip() for part in value.split(",")]
        for password in _IN_URL.findall(value):
            found += [password, unquote(password)]
    return [secret for secret in dict.fromkeys(found) if len(secret) >= SHORTEST]


class Redactor:
    """Of these secrets, and of whatever looks like one of ours or of a provider's."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelt = {form for secret in secrets if secret for form in (secret, json.dumps(secret)[1:-1])}
        known = sorted(map(re.escape, spelt), key=len, reverse=True)
        self._signs = (*spelt, *_BEGINNINGS)
        self._known = re.compile("|".join(known) or r"(?!)")
        self._all = re.compile("|".join([*known, _LOOKS]))

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Redactor:
        return cls(secrets_in(settings))

    def __call__(self, text: str) -> str:
        return self._all.sub(INSTEAD, text) if any(sign in text for sign in self._signs) else text

    def known(self, text: str) -> str:
        """Without the service's own secrets only: for words that may quote a row, which is left as it is."""
        return self._known.sub(INSTEAD, text)

    def clean(self, error: E) -> E:
        """The same error, with a message that may be passed on."""
        if isinstance(error, RowvecError):
            error.message = self(error.message)
            error.args = (error.message,)
        return error
