"""Groups of a pattern that are never looked back into, matched rightly by every Python."""

from __future__ import annotations

import sys

IS_RIGHT = sys.version_info >= (3, 11, 5)
"""Possessive quantifiers of a group that can be matched in more than one way are wrong before (CPython's
issues 100061 and 106052). Debian 12 has Python 3.11.2."""


def possessive(group: bytes, quantifier: bytes, is_right: bool = IS_RIGHT) -> bytes:
    """The group, with `*`, `+` or `?` for its `quantifier`, whose matches stand once they are found.

    Where the short form is wrong it is a greedy group in an atomic one, which takes some sixty bytes of
    memory for each repetition.
    """
    return b"(?:%b)%b+" % (group, quantifier) if is_right else b"(?>(?:%b)%b)" % (group, quantifier)
