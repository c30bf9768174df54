"""What a source is, told by its first bytes or by the caller, and its text as UTF-8 however it is cut."""

from __future__ import annotations

import codecs
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.encoding import ToUtf8, compression_of, encoding_of, is_half_a_pair
from rowvec.errors import InvalidRequest, SourceDamaged

ENCODINGS = [
    "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "latin-1", "cp1252", "cp437", "koi8-r",
    "mac-roman", "shift_jis", "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr", "hz", "utf-8",
]  # fmt: skip


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[low:high] for low, high in pairwise(borders)]


def through(encoding: str, blocks: list[bytes]) -> bytes:
    text = ToUtf8(encoding)
    return b"".join(text.feed(block, False) for block in blocks) + text.feed(b"", True)


TEXTS = st.text() | st.text('aäÿ€語カ字한жñ😀,"\r\n')


@given(TEXTS, st.sampled_from(ENCODINGS), st.lists(st.integers(0, 10_000), max_size=8))
def test_text_of_any_encoding_comes_out_as_utf8_however_it_is_cut(
    text: str, encoding: str, cuts: list[int]
) -> None:
    """Every character that an encoding can spell is in the copy, wherever the blocks begin and end."""
    coded = text.encode(encoding, "ignore")
    assert through(encoding, pieces(coded, cuts)) == coded.decode(encoding).encode()


@given(st.binary(max_size=60), st.sampled_from(ENCODINGS), st.lists(st.integers(0, 60), max_size=4))
def test_what_is_no_text_fails_at_its_byte_and_is_never_replaced(
    data: bytes, encoding: str, cuts: list[int]
) -> None:
    """Bytes that the whole could not be decoded with fail in pieces, too, and at the same place."""
    if encoding in ("utf-16", "utf-32"):
        data = "".encode(encoding) + data
    try:
        whole = data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        with pytest.raises(SourceDamaged, match=rf"^Byte {error.start} of the source "):
            through(encoding, pieces(data, cuts))
    else:
        assert through(encoding, pieces(data, cuts)) == whole.encode("utf-8", "surrogatepass")


HALVES = st.lists(
    st.sampled_from(["\ud83d", "\ude00", "\udc00", "\ud800", "a", ",", "\n", "😀"]), max_size=12
)


@given(
    HALVES, st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le"]), st.lists(st.integers(0, 60), max_size=6)
)
def test_halves_of_surrogate_pairs_stay_where_they_were_and_are_no_utf8(
    units: list[str], encoding: str, cuts: list[int]
) -> None:
    """They are neither dropped nor replaced; two that meet are the character they spell, in UTF-16."""
    coded = "".join(units).encode(encoding, "surrogatepass")
    came = through(encoding, pieces(coded, cuts))
    assert came.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass") == coded
    alone = any(0xD800 <= ord(character) <= 0xDFFF for character in coded.decode(encoding, "surrogatepass"))
    places = [place for place in range(len(came)) if is_half_a_pair(came, place)]
    assert bool(places) == alone
    if alone:
        with pytest.raises(UnicodeDecodeError) as refusal:
            came.decode()
        assert refusal.value.start == places[0]


def test_an_escape_sequence_without_an_end_fails_in_words() -> None:
    """What a decoder has no place for, it still does not pass over."""
    with pytest.raises(SourceDamaged, match=r"^Byte \d+ of the source is not iso2022_jp_2004"):
        through("iso2022_jp_2004", [bytes([byte]) for byte in b"a\x1b)\x06\x96\x95\\\xbe\x85\xf9\xb8F"])


MARKED = [
    ("utf-8-sig", None, "utf-8"),
    ("utf-8-sig", "utf8", "utf-8"),
    ("utf-16", None, "utf-16"),
    ("utf-16", "UTF_16", "utf-16"),
    ("utf-16", "utf-16-le", "utf-16"),
    ("utf-32", None, "utf-32"),
    ("ascii", None, "utf-8"),
    ("ascii", "US-ASCII", "utf-8"),
    ("ascii", "latin-1", "iso8859-1"),
    ("utf-16-be", "utf-16-be", "utf-16-be"),
]


@pytest.mark.parametrize(("spelt", "declared", "told"), MARKED)
def test_an_encoding_is_certain_or_declared(spelt: str, declared: str | None, told: str) -> None:
    """A byte order mark decides, else the caller's word, else it is UTF-8."""
    assert encoding_of("a,b\n1,2\n".encode(spelt), declared) == told


def test_the_mark_of_big_ends_is_known_too() -> None:
    """UTF-16 in network order is told by its mark as well."""
    assert encoding_of(codecs.BOM_UTF16_BE + "a,b\n".encode("utf-16-be"), None) == "utf-16"


NO_TEXT_CODECS = [
    "hex", "rot13", "zlib", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined",
    "no-such-thing", "", "a\0b", "é", "aliases", "../utf_8",
]  # fmt: skip


@pytest.mark.parametrize("declared", NO_TEXT_CODECS)
def test_what_is_no_encoding_of_text_is_refused(declared: str) -> None:
    """Unknown names, codecs from bytes to bytes, and what is no character set are refused."""
    with pytest.raises(InvalidRequest, match="no encoding of text") as refused:
        encoding_of(b"a,b\n", declared)
    assert refused.value.field == "encoding"


CONTRADICTIONS = [
    ("utf-16", "latin-1"),
    ("utf-16", "utf-16-be"),
    ("utf-16", "utf-8"),
    ("utf-8-sig", "cp1252"),
    ("utf-32", "utf-16"),
]


@pytest.mark.parametrize(("spelt", "declared"), CONTRADICTIONS)
def test_a_byte_order_mark_outweighs_no_other_word_in_silence(spelt: str, declared: str) -> None:
    """A mark and a declaration that contradict each other are a question to the caller."""
    with pytest.raises(InvalidRequest, match=r"byte order mark.*Leave `encoding` out") as refused:
        encoding_of("a,b\n".encode(spelt), declared)
    assert refused.value.field == "encoding"


def test_utf16_without_a_mark_must_say_its_order() -> None:
    """Which byte comes first is not guessed."""
    with pytest.raises(InvalidRequest, match="Declare utf-16-le or utf-16-be"):
        encoding_of("a,b\n".encode("utf-16-le"), "utf-16")


@pytest.mark.parametrize("head", [b"PK\x03\x04\x14\0", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"])
def test_an_archive_is_no_text(head: bytes) -> None:
    """Spreadsheets, and what is compressed twice, are refused in words."""
    with pytest.raises(SourceDamaged, match="begins like"):
        encoding_of(head, None)


def test_compression_is_told_by_its_first_bytes() -> None:
    """gzip, zstd and zstd after a frame to be skipped are known; text is not taken for either."""
    heads = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd$", b"P*M\x18\x04\0\0\0", b"P*M,a\n", b"a,b\n", b""]
    assert [compression_of(head) for head in heads] == ["gzip", "zstd", "zstd", "", "", ""]
