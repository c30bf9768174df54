"""Secrets that come as files: systemd's LoadCredential, and the secrets of a container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "CREDENTIALS_DIRECTORY"
PREFIX = "vectordb_"
"""What systemd puts before a file's name, where a whole folder is loaded under the id `vectordb`."""


def credentials(folder: str | None = None) -> dict[str, str]:
    """Setting → value, of every file in the folder (that of CREDENTIALS_DIRECTORY where none is given):
    `openai_api_key` holds OPENAI_API_KEY. The end of its line is no part of it, an empty file is unset.

    Raises OSError and UnicodeDecodeError, which name the file, where one cannot be read.
    """
    place = folder if folder is not None else os.environ.get(VARIABLE, "")
    return {name: value for name, value in _read(Path(place)) if value} if place else {}


def _read(place: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            yield path.name.removeprefix(PREFIX).upper(), path.read_text("utf-8").rstrip("\r\n")
