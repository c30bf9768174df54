"""The body of an export: its records packed or not, cut or not, on their way out."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator

from standins.metabase.faults import Fault

_BLOCK = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


def blocks(records: Iterable[bytes], fault: Fault | None, packed: bool) -> Iterator[bytes]:
    """What is sent, in pieces of about 64 KiB before packing."""
    given = _joined(records)
    if fault is not None and fault.kind == "error_inside":
        given = _with_error(given, fault)
    sent = _packed(given, fault) if packed else given
    if fault is not None and fault.kind in ("truncate", "close"):
        sent = _cut(sent, fault.after)
    if fault is not None and fault.kind == "slow" and fault.after:
        sent = _stalled(sent, fault)
    return sent


def error_json(fault: Fault) -> bytes:
    """A failed query as Metabase spells it, cut down to what its readers look at."""
    return json.dumps(
        {
            "database_id": 1,
            "started_at": "2026-11-23T12:00:00Z",
            "via": [{"status": "failed", "class": "class java.sql.SQLException", "error": fault.message}],
            "error_type": "invalid-query",
            "status": "failed",
            "class": "class java.sql.SQLException",
            "error": fault.message,
            "row_count": 0,
            "data": {"rows": [], "cols": []},
        }
    ).encode()


def _joined(records: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for record in records:
        block += record
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _with_error(given: Iterator[bytes], fault: Fault) -> Iterator[bytes]:
    yield from _cut(given, fault.after)
    yield error_json(fault)


def _packed(given: Iterator[bytes], fault: Fault | None) -> Iterator[bytes]:
    """A gzip stream; a truncated one lacks its end, its blocks are flushed all the same."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    for block in given:
        yield packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH)
    if fault is None or fault.kind != "truncate":
        yield packer.flush()


def _stalled(given: Iterator[bytes], fault: Fault) -> Iterator[bytes]:
    left = fault.after
    for block in given:
        if 0 < left <= len(block):
            time.sleep(fault.seconds)
        left -= len(block)
        yield block


def _cut(given: Iterator[bytes], after: int) -> Iterator[bytes]:
    left = after
    for block in given:
        if left <= len(block):
            yield block[:left]
            return
        left -= len(block)
        yield block
