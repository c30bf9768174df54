"""What REST and gRPC have in common: API versions, log sequence numbers, pagination tokens."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any

from standins.pinecone.index import Index, Page
from standins.pinecone.refusals import Code, Refused, invalid
from standins.pinecone.settings import Settings

VECTORS, DOCUMENTS = "2025-10", "2026-07"
VERSIONS = (VECTORS, "2026-04", DOCUMENTS)

_LSN = {
    "request": ("x-pinecone-request-lsn", "x-pinecone-max-indexed-lsn"),
    "committed": ("x-pinecone-lsn-committed", "x-pinecone-lsn-reconciled"),
}


def require_version(version: str, least: str = VECTORS) -> None:
    """No version would mean the oldest there is, which answers differently: refused here."""
    if version not in VERSIONS or version < least:
        message = f"X-Pinecone-Api-Version must be {least} or later, got '{version}'"
        raise Refused(Code.INVALID_ARGUMENT, 400, message, plain=True)


def lsn_headers(settings: Settings, lsn: int | None, written: bool) -> dict[str, str]:
    """The header of a write's log sequence number, or of the one up to which a read has seen."""
    if lsn is None or settings.lsn == "none":
        return {}
    of_write, of_read = _LSN[settings.lsn]
    return {of_write if written else of_read: str(lsn)}


def token_of(last_id: str) -> str:
    return base64.b64encode(last_id.encode()).decode()


def id_of(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid("Invalid pagination token.") from error


def tokened(page: Page) -> Page:
    """The page with a token where the last id was."""
    return page if page.next is None else replace(page, next=token_of(page.next))


def dry_run(index: Index, namespace: str, wanted: Any, dry: bool) -> int:
    """How many records an update by filter would touch: all of `update` that is offered here."""
    if not dry:
        raise Refused(Code.UNIMPLEMENTED, 501, "This stand-in updates nothing: it only counts with dryRun.")
    return index.count_matching(namespace, wanted)
