"""Text: clean and unchanged when clean, split without loss, and ids that never collide by chance."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowvec.errors import InvalidRequest
from rowvec.text import Template, clean, content_id, passage_id, passages, row_id

CLEANED = [
    ("  a \t b  ", "a b"),
    ("a\r\nb\rc\nd", "a\nb\nc\nd"),
    ("a\n\n \n\n\nb", "a\n\nb"),
    ("\n a\n b \n\n", "a\n b"),
    ("a\x00\x07\x1b\x7f\x85b", "ab"),
    ("a\u200bb\ufeffc\xadd\u2060e\u202ef", "abcdef"),
    ("a\xa0\u3000\u2003b", "a b"),
    ("a\u2028b\u2029c", "a\nb\nc"),
    ("e\u0301 \u212b", "é Å"),
    ("Fish &amp; Chips &lt;b&gt; &#233; &#xE9; &eacute;", "Fish & Chips <b> é é é"),
    ("&amp;amp;lt;", "<"),
    ("&#38;#38;lt;", "<"),
    ("&am\xadp;lt;", "<"),
    ("&amp\u037elt;", "<"),
    ("&nbsp;a&#13;&#10;b&#0;", "a\n\nb&#0;"),
    ("?a=1&copy=2&notit; AT&T", "?a=1&copy=2&notit; AT&T"),
    ("a\ud800b", "ab"),
    ("a\u200db", "ab"),
    ("a \u200d b", "a b"),
    ("", ""),
    (" \n\t ", ""),
]


@pytest.mark.parametrize(("dirty", "text"), CLEANED)
def test_what_cleaning_does(dirty: str, text: str) -> None:
    """Each rule of the sanitizer, and entities however deeply they are wrapped."""
    assert clean(dirty) == text


@pytest.mark.parametrize(
    "text",
    [
        "Plain text, as it is: (a) 100 % – “quoted”, naïve café.\nSecond line\n\nNew paragraph",
        "👩‍👩‍👧 ❤️ 🇩🇪 1️⃣",
        "می‌خواهم क्‍ष ശ്രീ",
        "漢字かな交じり文。한국어 العربية ١٢٣",
        "a < b && c > d; x &y z;",
    ],
)
def test_clean_text_is_left_alone(text: str) -> None:
    """Clean text of any script comes out as it went in, joined emoji and Persian included."""
    assert clean(text) == text


pieces = st.sampled_from(
    ["a", "e", "K", " ", "\t", "\n", "\r", ";", "&", "#", "amp", "lt", "38", "x26", "zwj", "nbsp",
     "&amp;", "&zwnj;", "&#173;", "\xad", "\u200d", "\u200c", "\u0301", "\u037e", "\u212a", "\xa0", "\u2000",
     "\u2028", "é", "\ud800", "👩", "&#769;", "&acute;", "&#x3b;",
     "\u200b", "&Tab;", "&NewLine;", "&#10;", "\u0344"]
)  # fmt: skip
texts = st.lists(pieces, max_size=25).map("".join) | st.text(max_size=40)


@settings(max_examples=800, deadline=None)
@given(texts)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """What was cleaned is clean."""
    once = clean(text)
    assert clean(once) == once


@settings(max_examples=300, deadline=None)
@given(texts)
def test_what_is_left_can_be_seen(text: str) -> None:
    """No control, surrogate, odd space or entity is left, and the text is in NFC."""
    text = clean(text)
    assert unicodedata.is_normalized("NFC", text)
    assert not re.search(r"&(?:amp|lt|nbsp|zwj|#38|#x26|#173);", text)
    kinds = {unicodedata.category(c) for c in text if c not in "\n \u200c\u200d"}
    assert not kinds & {"Cc", "Cs", "Zs", "Zl", "Zp"}
    assert not re.search(r"  |\n ?\n ?\n|\A\s|\s\Z", text)


def test_every_invisible_character_is_known() -> None:
    """All of Unicode's control and format characters are dropped but those that can be seen or that join."""
    seen = {
        "\n",
        "\t",
        "\r",
        "\u200c",
        "\u200d",
        "\u06dd",
        "\u070f",
        "\u0890",
        "\u0891",
        "\u08e2",
        "\U000110bd",
        "\U000110cd",
    }
    seen |= {chr(c) for c in [*range(0x600, 0x606), *range(0x13430, 0x13440)]}
    every = {chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Cs")}
    assert {c for c in every if clean(f"é{c}é") != "éé"} == seen & every
    spaces = {chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) == "Zs"}
    assert {clean(f"é{c}é") for c in spaces} == {"é é"}


def test_nested_entities_take_no_time() -> None:
    """A hundred thousand wrapped entities are undone in one go."""
    assert clean("&" + "amp;" * 100_000 + "lt;") == "<"


HEADER = ("title", "body", "tag")


@pytest.mark.parametrize(
    ("columns", "template", "text"),
    [
        ((), None, "title: T\nbody: B b"),
        (("body",), None, "B b"),
        (("body", "title"), None, "body: B b\ntitle: T"),
        ((), "{title}: {body}", "T: B b"),
        ((), "{{{tag}}} {title}{title}!", "{} TT!"),
    ],
)
def test_what_is_embedded(columns: Sequence[str], template: str | None, text: str) -> None:
    """All columns by name, one column bare, or a template with its braces; empty columns have no line."""
    assert Template(HEADER, columns, template).render(["T", "B b", ""]) == text


@pytest.mark.parametrize(("columns", "template"), [((), None), (("tag",), None), ((), "Tag: {tag}, {body}")])
def test_an_empty_row_has_an_empty_text(columns: Sequence[str], template: str | None) -> None:
    """Where every column used is blank there is no text, whatever labels would stand around it."""
    assert Template(HEADER, columns, template).render(["", "  ", ""]) == ""


WRONG = ["no column", "", "{{title}}", "{}", "{0}", "{title", "title}", "{nope}", "{title.x}", "{title[0]}",
         "{title!r}", "{title:>9}", "{title:{body}}"]  # fmt: skip


@pytest.mark.parametrize("template", WRONG)
def test_a_template_that_cannot_work_is_refused(template: str) -> None:
    """Anything but text and known columns is refused, naming the field."""
    with pytest.raises(InvalidRequest) as refused:
        Template(HEADER, (), template)
    assert refused.value.field == "text_template"


def test_text_columns_must_exist() -> None:
    """An unknown text column is refused with the known ones; both ways at once are refused."""
    with pytest.raises(InvalidRequest, match=r"'nope'.*'title', 'body', 'tag'") as refused:
        Template(HEADER, ("nope",), None)
    assert refused.value.field == "text_columns"
    with pytest.raises(InvalidRequest):
        Template(HEADER, ("title",), "{title}")


def test_a_column_may_be_called_anything() -> None:
    """A column's name with dots or brackets is a name, not an access."""
    assert Template(("a.b", "c[0]"), (), "{a.b}-{c[0]}").render(["1", "2"]) == "1-2"


def words_and_marks(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w{1,4}|[^\w\s]", text)) for text in texts]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["word", "longerword", ". ", "! ", " ", "\n", "\n\n", "é", "漢字", ","]), max_size=200
    ),
    st.integers(1, 40),
)
def test_passages_fit_and_hold_everything(parts: list[str], most: int) -> None:
    """No passage is too long, and every character is in one, in order."""
    text = clean("".join(parts))
    found = passages(text, most, words_and_marks)
    assert all(count <= most for count in words_and_marks(found))
    covered = {0}
    for passage in found:
        covered = {
            max(until, at + len(passage))
            for at in places_of(passage, text)
            for until in covered
            if not text[until:at].strip()
        }
    assert any(not text[until:].strip() for until in covered)


def places_of(passage: str, text: str) -> list[int]:
    """Everywhere it stands: in a text that repeats itself nobody can tell which one was meant."""
    return [at for at in range(len(text) + 1) if text.startswith(passage, at)]


def test_passages_end_at_sentences_and_overlap() -> None:
    """Ordinary prose is cut after sentences, and each passage begins within the one before."""
    text = " ".join(f"This is sentence number {n} of a longer story." for n in range(200))
    found = passages(text, 100, words_and_marks)
    assert all(passage.endswith(".") for passage in found)
    for before, after in pairwise(found):
        shared = after[: len(before) // 20]
        assert shared in before
    assert len(found) < 1.4 * words_and_marks([text])[0] / 100


def test_what_surely_fits_is_not_counted() -> None:
    """A text of no more bytes than tokens allowed is one passage without asking the tokenizer."""
    assert passages("é" * 4, 8, lambda texts: pytest.fail("was asked")) == ["éééé"]


def test_a_huge_word_is_cut_all_the_same() -> None:
    """Text without any border still comes out in passages that fit, and few questions are asked."""
    asked = 0

    def count(texts: Sequence[str]) -> list[int]:
        nonlocal asked
        asked += 1
        return [-(-len(text) // 3) for text in texts]

    found = passages("x" * 30_000, 500, count)
    assert max(map(len, found)) <= 1500
    assert 20 <= len(found) <= 26
    assert asked <= 3 * len(found)


@pytest.mark.parametrize(
    ("value", "prefix", "found"),
    [
        ("42", "", "42"),
        ("42", "docs/", "docs/42"),
        ("a#1", "", "a%231"),
        ("100%", "", "100%25"),
        ("a%231", "", "a%25231"),
        ("x", "p#", "p%23x"),
        ("a b", "", "a b"),
        ("x" * 512, "", "x" * 512),
        ("", "p", None),
        (" \t", "", None),
    ],
)
def test_a_plain_id_stays_readable(value: str, prefix: str, found: str | None) -> None:
    """Prefix and value, with `#` and `%` escaped; an empty value is no id."""
    assert row_id(value, prefix) == found


@pytest.mark.parametrize("value", ["é", "a\nb", "x" * 513, "#" * 171, "a\x7f"])
def test_another_id_is_hashed_behind_its_prefix(value: str) -> None:
    """What a vector store may not take is a hash of 32 hex digits, always the same."""
    found = row_id(value, "p:")
    assert found is not None and re.fullmatch("p:[0-9a-f]{32}", found)
    assert found == row_id(value, "p:")
    assert found != row_id(value + "x", "p:")


@settings(max_examples=300)
@given(
    st.text("a#%123", min_size=1, max_size=6), st.text("a#%123", min_size=1, max_size=6), st.integers(1, 3)
)
def test_ids_do_not_collide(one: str, other: str, number: int) -> None:
    """Different values have different ids, and no passage of one row is the id of another."""
    first, second = row_id(one, ""), row_id(other, "")
    assert first is not None and second is not None
    assert (first == second) == (one == other)
    assert passage_id(first, number) != second


def test_passages_of_a_long_id_fit() -> None:
    """A passage's id is readable while it fits and at most 512 characters always."""
    assert passage_id("row", 2) == "row#2"
    assert len(passage_id("x" * 511, 12)) <= 512
    assert passage_id("x" * 511, 12) != passage_id("y" * 511, 12)


def test_the_id_of_a_row_without_one() -> None:
    """The hash depends on each name and each value and where they stand, and on nothing else."""
    rows = [
        content_id(("a", "b"), ("1", "2"), ""),
        content_id(("a", "b"), ("12", ""), ""),
        content_id(("a", "b"), ("", "12"), ""),
        content_id(("a", "c"), ("1", "2"), ""),
        content_id(("a",), ("b",), ""),
        content_id(("a", "b"), ("", ""), ""),
    ]
    assert len(set(rows)) == len(rows)
    assert all(re.fullmatch("[0-9a-f]{32}", row) for row in rows)
    assert content_id(("a", "b"), ["1", "2"], "p/") == "p/" + rows[0]
