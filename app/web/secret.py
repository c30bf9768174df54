"""What sessions are signed with: the same for every process that answers for this service."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from app.config import Settings
from app.keys import refusal
from rowvec.errors import NotConfigured

FILE = "session-secret"


def session_secret(config: Settings) -> str:
    """SESSION_SECRET, else one that is made once for this DATA_DIR. Raises NotConfigured for a weak one."""
    given = config.session_secret.get_secret_value()
    if not given:
        return _kept(config.data / FILE)
    if why := refusal(given):
        raise NotConfigured(f"SESSION_SECRET {why}. Use the output of: openssl rand -hex 32")
    return given


def _kept(place: Path) -> str:
    """Of several processes that start at once one makes it: it is there whole, or not at all."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f"{FILE}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        _named(fresh, place)
    return place.read_text()


def _named(fresh: Path, place: Path) -> None:
    try:
        place.hardlink_to(fresh)
    except FileExistsError:
        return  # Another process was faster, and its secret is the one.
    finally:
        fresh.unlink()
