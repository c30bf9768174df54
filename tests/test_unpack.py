"""gzip and zstd come out as they went in, under caps, or fail in words: never short, never silently."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec import unpack
from rowvec.errors import SourceDamaged
from rowvec.unpack import Unpacker

MOST = 1 << 30
KINDS = ["gzip", "zstd"]


def packed(data: bytes, kind: str, level: int = 3) -> bytes:
    packing = pa.Codec(kind, compression_level=level)
    return bytes(packing.compress(data, asbytes=True))


def through(kind: str, blocks: list[bytes], most: int = MOST) -> Iterator[bytes]:
    unpacker = Unpacker(kind, most)
    for block in blocks:
        unpacker.give(block)
        yield from iter(unpacker.take, b"")
    unpacker.end()
    yield from iter(unpacker.take, b"")


def unpack_all(kind: str, data: bytes, most: int = MOST, block: int = 1 << 20) -> bytes:
    return b"".join(through(kind, [data[at : at + block] for at in range(0, len(data), block)], most))


def noise(size: int) -> bytes:
    return random.Random(7).randbytes(size)


@pytest.mark.parametrize("kind", KINDS)
@given(
    members=st.lists(st.binary(max_size=300), max_size=4),
    level=st.integers(1, 9),
    block=st.integers(1, 400),
)
def test_what_was_packed_comes_out_whatever_the_blocks(
    kind: str, members: list[bytes], level: int, block: int
) -> None:
    """Any bytes at any level, in one member or several, however the source hands them out."""
    data = b"".join(packed(member, kind, level) for member in members)
    assert unpack_all(kind, data, block=block) == b"".join(members)


@pytest.mark.parametrize("kind", KINDS)
def test_more_than_the_reserve_is_unpacked_as_it_comes(kind: str) -> None:
    """Large sources come out in pieces of about 1 MiB, most of them before the last block is given."""
    data = noise(3 * unpack.RESERVE_BYTES)
    coded = packed(data[: len(data) // 2], kind) + packed(data[len(data) // 2 :], kind)
    unpacker = Unpacker(kind, MOST)
    early: list[bytes] = []
    for at in range(0, len(coded), 1 << 20):
        unpacker.give(coded[at : at + (1 << 20)])
        early += iter(unpacker.take, b"")
    unpacker.end()
    late = list(iter(unpacker.take, b""))

    assert b"".join(early + late) == data
    assert len(b"".join(late)) <= unpack.RESERVE_BYTES + (1 << 20)
    assert max(map(len, early + late)) < 2 << 20


def test_frames_to_be_skipped_are_skipped() -> None:
    """zstd files with frames of another program's own before, between and after the data."""
    own = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    frame = packed(b"a,b\n", "zstd")
    assert unpack_all("zstd", own + frame + own + frame + own) == b"a,b\na,b\n"


# Damage


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_anywhere_is_an_error(kind: str) -> None:
    """Not one byte may be missing: neither of the data nor of the trailer."""
    coded = packed(b"a,b\n" + noise(200).hex().encode(), kind)
    for end in range(1, len(coded)):
        with pytest.raises(SourceDamaged, match="Truncated"):
            unpack_all(kind, coded[:end])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [b"\0", b"x", b"\0" * 512, b"a,b\n1,2\n", b"PK\x03\x04"])
def test_something_after_the_data_is_an_error(kind: str, tail: bytes) -> None:
    """What follows the last member and is none is not passed over."""
    with pytest.raises(SourceDamaged, match="something else follows"):
        unpack_all(kind, packed(b"a,b\n1,2\n", kind) + tail)


def test_a_wrong_checksum_is_an_error() -> None:
    """A flipped bit in the data is found by gzip's own checksum."""
    coded = bytearray(gzip.compress(noise(1000)))
    coded[500] ^= 1
    with pytest.raises(SourceDamaged, match="cannot be unpacked"):
        unpack_all("gzip", bytes(coded))


# Bombs


def bombs() -> dict[str, Callable[[int], bytes]]:
    def gzipped(size: int) -> bytes:
        packer = zlib.compressobj(9, wbits=31)
        zeros = bytes(1 << 20)
        return b"".join(packer.compress(zeros) for _ in range(size >> 20)) + packer.flush()

    return {"gzip": gzipped, "zstd": lambda size: packed(bytes(size), "zstd")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_stopped_soon_after_the_ratio_counts(kind: str) -> None:
    """A ratio above 1000 ends the unpacking, whatever would still follow."""
    size = 0
    with pytest.raises(SourceDamaged, match="more than 1000 times"):
        for piece in through(kind, [bombs()[kind](256 << 20)]):
            size += len(piece)
    assert size <= unpack.RATIO_FREE_BYTES + (130 << 20 if kind == "gzip" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_up_to_64_mib_any_ratio_is_taken(kind: str) -> None:
    """A small table of much the same rows is no bomb."""
    assert unpack_all(kind, bombs()[kind](63 << 20)) == bytes(63 << 20)


@pytest.mark.parametrize("kind", KINDS)
def test_more_bytes_than_the_setting_allows_are_refused(kind: str) -> None:
    """Exactly as many are taken; one more names the setting."""
    coded = packed(noise(1000), kind)
    assert unpack_all(kind, coded, most=1000) == noise(1000)
    with pytest.raises(SourceDamaged, match=r"999 bytes.*MAX_DECOMPRESSED_BYTES"):
        unpack_all(kind, coded, most=999)


def test_a_flood_of_nothing_is_refused_in_bounded_time() -> None:
    """Megabytes of empty members, which would be read and read for no row, are refused."""
    with pytest.raises(SourceDamaged, match="next to nothing"):
        unpack_all("gzip", packed(b"", "gzip") * 400_000)
