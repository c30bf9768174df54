"""The header: its names, its delimiter and where the data begin, or words that say why there is none."""

import pytest

from rowvec.errors import InvalidRequest, SourceDamaged
from rowvec.header import Header, read_header
from rowvec.spec import Dialect


def header(head: bytes, final: bool = True, delimiter: str | None = None) -> Header:
    return read_header(head, final, delimiter, 10_000)


PLACES = [
    (b"a,b\n1,2\n", 4, 2),
    (b"a,b\r\n1,2\r\n", 5, 2),
    (b"a,b\r1,2\r", 4, 2),
    (b"\xef\xbb\xbfa,b\n1,2\n", 7, 2),
    (b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2\n", 10, 2),
    (b"\n\r\n a , b \n1,2\n", 11, 4),
    (b'\xef\xbb\xbf"a","b"\n', 11, 2),
    (b"a,b", 3, 1),
]


@pytest.mark.parametrize(("head", "start", "line"), PLACES)
def test_names_and_where_the_data_begin(head: bytes, start: int, line: int) -> None:
    """Byte order marks and blank lines before the header are skipped, names lose surrounding space."""
    assert header(head) == Header(("a", "b"), start, line, Dialect())


def test_a_name_may_hold_anything_else() -> None:
    """Quoted line ends, delimiters and doubled quotes belong to the name, and lines go on counting."""
    assert header(b'"a\nb","c, ""d"""\n1,2\n') == Header(("a\nb", 'c, "d"'), 17, 3, Dialect())


@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b"\n\r\n"])
def test_nothing_but_blank_has_no_columns(head: bytes) -> None:
    """An empty source has no columns, and no data after it."""
    found = header(head)
    assert (found.columns, found.data_start) == ((), len(head))


DELIMITERS = [
    (b"name\nx;y\n", ","),
    (b"a;b\n1;2\n", ";"),
    (b"a\tb\n", "\t"),
    (b"a|b\n", "|"),
    (b'"a;x","b"\n1,2\n', ","),
    (b"a, or x;b\n1;2\n3;4,5\n", ";"),
    (b"a;x,b|y\n1,2\n3,4\n", ","),
    (b"a;b,c\n1;2,3;4\n1;3,3\n", ","),
]


@pytest.mark.parametrize(("head", "delimiter"), DELIMITERS)
def test_the_delimiter_is_what_fits(head: bytes, delimiter: str) -> None:
    """One candidate in the header is it; among several, the one all first records agree with."""
    assert header(head).dialect.delimiter == delimiter


@pytest.mark.parametrize("head", [b"a,b;c\n", b"a,b;c\n1,2;3\n"], ids=["no records", "both fit"])
def test_a_doubtful_delimiter_is_asked_for(head: bytes) -> None:
    """Where header and records allow two delimiters, the caller is asked; giving it settles it."""
    with pytest.raises(SourceDamaged, match=r"line 1 has ',' and ';'.*Submit it again with `delimiter`"):
        header(head)
    assert header(head, delimiter=";").columns == ("a,b", "c")


DAMAGED = [
    (b"\n\na,,b,\n", r"line 3 gives no name to column 2, 4 of 4"),
    (b"a, a,b\n", r"line 1 has the name 'a' more than once"),
    (b'a,"b\n1,2\n', r"line 1 opens a quote that is not closed"),
    (b'a,"b"c\n1,2\n', r"line 1 has text after a closing quote"),
    (b"a," + b"b" * 10_000 + b"\n1,2\n", r"longer than a record may be"),
    (b"a,caf\xe9\n", r"byte 5 is 0xe9.*`encoding`"),
    ("a,b\n".encode("utf-16-le"), r"NUL byte at byte 1.*utf-16-le or utf-16-be"),
    (b'a,"caf\xed\xa0\xbd"\n', r"half a surrogate pair, which alone is no character, at byte 6 of its UTF-8"),
]


@pytest.mark.parametrize(("head", "words"), DAMAGED)
def test_what_is_no_header_fails_in_words(head: bytes, words: str) -> None:
    """Doubled or empty names, bad quotes, undeclared encodings, halves of characters: refused in words."""
    with pytest.raises(SourceDamaged, match=words):
        header(head)


def test_a_header_without_an_end_fails() -> None:
    """A head that is cut before the header ends is no header."""
    with pytest.raises(SourceDamaged, match="does not end within the first 5 bytes"):
        header(b"a,b,c", final=False)


def test_a_cut_record_after_the_header_is_no_evidence() -> None:
    """The record that the head cuts off is not counted for the delimiter."""
    assert header(b"a,x;b\n1,y;2\n1;2\n1", final=False).dialect.delimiter == ";"


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\r", "é", "a", "1", " ", "\0"])
def test_an_impossible_delimiter_is_refused(delimiter: str) -> None:
    """The delimiter is one ASCII character that is no quote, line end, letter, digit or space."""
    with pytest.raises(InvalidRequest) as refused:
        header(b"a,b\n", delimiter=delimiter)
    assert refused.value.field == "delimiter"
