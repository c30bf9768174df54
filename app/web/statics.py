"""Styles and scripts, from memory. Their address holds a hash of them all: they may be kept for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    """Content by path below the folder."""
    found = (file for file in sorted(FOLDER.rglob("*")) if file.is_file())
    return {file.relative_to(FOLDER).as_posix(): file.read_bytes() for file in found}


@lru_cache(maxsize=1)
def release() -> str:
    """A name for exactly these files. One for all: a script that imports another finds it beside itself."""
    told = hashlib.sha256()
    for path, content in files().items():
        told.update(f"{path} {len(content)}\n".encode())
        told.update(content)
    return told.hexdigest()[:16]


def static(path: str) -> str:
    """The address of a file. Raises KeyError where there is none."""
    if path not in files():
        raise KeyError(path)
    return f"/static/{release()}/{path}"


@router.get("/static/{of}/{path:path}")
async def serve(of: str, path: str) -> Response:
    """Of another release, what there is now, to be asked for again: hosts are not updated at once."""
    if path not in files():
        raise HTTPException(404)
    return Response(
        files()[path],
        media_type=TYPES[Path(path).suffix],
        headers={"Cache-Control": FOR_EVER if of == release() else "no-cache"},
    )
