"""What errors of one cause have in common: their words, without what differs from row to row."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 400
"""Characters of a reason that count."""

# Each runs along the text once: no part of one can match what the next one begins with.
_QUOTED = re.compile(r'"[^"\n]*"|“[^”\n]*”|`[^`\n]*`|(?<!\w)\'[^\'\n]*\'(?!\w)')
_ID = re.compile(r"\b(?=[0-9a-zA-Z_-]*\d)[0-9a-zA-Z]+(?:[-_][0-9a-zA-Z]+)+\b|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b")
_NUMBER = re.compile(r"(?<![a-zA-Z])[+-]?\d+(?:[.,:]\d+)*")


def pattern(reason: str) -> str:
    """The reason with “…” for quoted values, ID for ids and N for numbers."""
    text = reason[:LONGEST]
    for what, sign in ((_QUOTED, "“…”"), (_ID, "ID"), (_NUMBER, "N")):
        text = what.sub(sign, text)
    return " ".join(text.split())


def fingerprint(code: str, reason: str) -> str:
    """Equal for errors of one code whose reasons have one pattern; 12 hexadecimal digits."""
    return sha256(f"{code}\n{pattern(reason)}".encode("utf-8", "backslashreplace")).hexdigest()[:12]
