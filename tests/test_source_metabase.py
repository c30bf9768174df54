"""A question is asked as it must be, its refusals are told in words, and only a whole export counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    PauseNeeded,
    RateLimited,
    RowvecError,
    SourceChanged,
    SourceDamaged,
    SourceForbidden,
    SourceNotFound,
    TaskFailed,
    Unavailable,
)
from rowvec.filestores.folder import FolderStore
from rowvec.sources.base import BrokeOff
from rowvec.sources.metabase import MetabaseSource
from rowvec.sources.metabase.guard import Guard
from rowvec.spec import SourcePin
from tests.servers.metabase import API_KEY, PASSWORD, Metabase

pytestmark = pytest.mark.anyio

TABLE = b'id,price,note\n1,12345.5,plain\n2,7,"with ""quotes""\nand a line"\n'
PIN = SourcePin("metabase", "7", "", 0)


@pytest.fixture
def source(metabase: Metabase, tmp_path_factory: pytest.TempPathFactory) -> MetabaseSource:
    metabase.ask(7, TABLE)
    return opened(metabase.settings, tmp_path_factory)


def opened(settings: dict[str, str], folders: pytest.TempPathFactory) -> MetabaseSource:
    return MetabaseSource.open(settings, FolderStore(folders.mktemp("files")))


async def exported(source: MetabaseSource, allow_row_cap: bool = False) -> bytes:
    return b"".join([block async for block in source.export(PIN, allow_row_cap)])


# Asking


@pytest.mark.parametrize("gzip", [True, False])
@pytest.mark.parametrize("status", [200, 202])
async def test_a_table_comes_as_the_database_has_it(
    source: MetabaseSource, metabase: Metabase, gzip: bool, status: int
) -> None:
    """Packed or not, and under both of Metabase's good answers; numbers are not made pretty."""
    metabase.set(gzip=gzip, status=status)
    assert await exported(source) == TABLE


async def test_a_pin_asks_for_no_rows(source: MetabaseSource, metabase: Metabase) -> None:
    """The door is answered at once: the query is left to the task."""
    assert await source.pin("7") == PIN
    assert metabase.counters == {"card": 1}


async def test_a_name_and_a_password_make_one_session_which_is_renewed_when_it_has_ended(
    metabase: Metabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A session is used until Metabase forgets it, and then another one is made, once."""
    metabase.ask(7, TABLE)
    source = opened(metabase.login, tmp_path_factory)
    await source.pin("7")
    assert await exported(source) == TABLE
    assert metabase.counters["session"] == 1
    metabase.end_sessions()
    assert await exported(source) == TABLE
    assert metabase.counters["session"] == 2
    metabase.suffer("status", on="export", status=401, body="Unauthenticated", times=None)
    with pytest.raises(CredentialsRefused, match="the session it has just given us"):
        await exported(source)
    assert metabase.counters["session"] == 3


# Refusals


BOTH = pytest.mark.parametrize("working", [False, True], ids=["at the door", "at work"])


async def refusal(source: MetabaseSource, working: bool) -> RowvecError:
    with pytest.raises(RowvecError) as refused:
        await (exported(source) if working else source.pin("7"))
    return refused.value


@BOTH
async def test_a_wrong_key_names_the_setting(
    metabase: Metabase, tmp_path_factory: pytest.TempPathFactory, working: bool
) -> None:
    """It waits for a person, and shows nothing of the key."""
    source = opened(metabase.settings | {"METABASE_API_KEY": "mb_wrong-canary"}, tmp_path_factory)
    refused = await refusal(source, working)
    assert type(refused) is CredentialsRefused
    assert "refuses METABASE_API_KEY (Unauthenticated). Set a key that is valid there." in refused.message
    assert "canary" not in f"{refused!r} {refused.__cause__!r}"


@BOTH
async def test_a_wrong_password_names_the_settings(
    metabase: Metabase, tmp_path_factory: pytest.TempPathFactory, working: bool
) -> None:
    """Neither the name nor the password is shown."""
    source = opened(metabase.login | {"METABASE_PASSWORD": "canary"}, tmp_path_factory)
    refused = await refusal(source, working)
    assert type(refused) is CredentialsRefused
    assert "refuses METABASE_USERNAME and METABASE_PASSWORD. Set them right" in refused.message
    assert "canary" not in f"{refused!r} {refused.__cause__!r}"


async def test_too_many_wrong_passwords_are_waited_out(
    metabase: Metabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Metabase says in words how long it lets nobody in."""
    source = opened(metabase.login, tmp_path_factory)
    body = '{"errors":{"username":"Too many attempts! You must wait 15 seconds before trying again."}}'
    metabase.suffer("status", on="session", status=400, body=body)
    with pytest.raises(RateLimited, match="too many wrong passwords") as refused:
        await source.pin("7")
    assert refused.value.retry_after == 15


async def test_a_question_that_is_not_there(source: MetabaseSource, metabase: Metabase) -> None:
    """Not found at the door; gone, where it was there when it was submitted."""
    metabase.forget(7)
    at_the_door, at_work = await refusal(source, False), await refusal(source, True)
    assert (type(at_the_door), type(at_work)) == (SourceNotFound, SourceChanged)
    assert "There is no question 7 in http://127.0.0.1" in at_the_door.message
    assert "It was there when it was submitted." in at_work.message


async def test_an_archived_question_is_told_as_such(source: MetabaseSource, metabase: Metabase) -> None:
    """In Metabase's own words."""
    metabase.ask(7, TABLE, archived=1)
    assert "The object has been archived." in (await refusal(source, False)).message


async def test_a_question_we_may_not_see(source: MetabaseSource, metabase: Metabase) -> None:
    """Forbidden at the door, a pause at work; both say who must be given what."""
    metabase.ask(7, TABLE, forbidden=1)
    at_the_door, at_work = await refusal(source, False), await refusal(source, True)
    assert (type(at_the_door), type(at_work)) == (SourceForbidden, CredentialsRefused)
    for refused in (at_the_door, at_work):
        assert "does not let this service see question 7" in refused.message
        assert "access to the question's collection" in refused.message
    assert at_work.message.endswith("Then resume.")


@pytest.mark.parametrize("ref", ["", "x", "-1", "1.5", "7/query/json", "７", "9" * 30])
async def test_what_is_no_number_is_no_question(source: MetabaseSource, metabase: Metabase, ref: str) -> None:
    """No other path of Metabase can be reached through it."""
    with pytest.raises(SourceNotFound, match="name one by its number"):
        await source.pin(ref)
    assert metabase.counters == {}


@BOTH
@pytest.mark.parametrize(
    ("fault", "error", "words", "wait"),
    [
        ({"status": 429, "retry_after": 7}, RateLimited, "asks for fewer requests", 7),
        ({"status": 429}, RateLimited, "asks for fewer requests", None),
        ({"status": 503, "body": "warming up", "retry_after": 2}, Unavailable, "503: warming up", 2),
        ({"status": 500, "body": "oops"}, Unavailable, "500: oops", None),
        ({"status": 400, "body": "a parameter is missing"}, TaskFailed, "400: a parameter is missing", None),
        ({"status": 302}, PauseNeeded, "Set METABASE_URL to the address itself", None),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
async def test_other_answers_mean_what_they_say(
    source: MetabaseSource,
    metabase: Metabase,
    fault: dict[str, object],
    error: type[RowvecError],
    words: str,
    wait: float | None,
    working: bool,
) -> None:
    """Weather is waited out as long as it asks for, a refusal is told."""
    metabase.suffer("status", on="any", **fault)
    refused = await refusal(source, working)
    assert type(refused) is error
    assert words in refused.message
    assert getattr(refused, "retry_after", None) == wait


@BOTH
async def test_a_metabase_that_is_not_there_is_weather(
    tmp_path_factory: pytest.TempPathFactory, working: bool
) -> None:
    """The address is named, without what may be secret in it."""
    url = "http://ann:canary@127.0.0.1:9/"
    source = opened({"METABASE_URL": url, "METABASE_API_KEY": API_KEY}, tmp_path_factory)
    refused = await refusal(source, working)
    assert type(refused) is Unavailable
    assert "http://127.0.0.1:9 does not answer" in refused.message
    assert "canary" not in refused.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"METABASE_URL": ""}, "Set METABASE_URL and METABASE_API_KEY"),
        ({"METABASE_API_KEY": ""}, "Set METABASE_API_KEY, or METABASE_USERNAME and METABASE_PASSWORD"),
        ({"METABASE_URL": "metabase.example.com"}, "Write http://"),
    ],
)
async def test_missing_settings_are_named(
    source: MetabaseSource,
    metabase: Metabase,
    tmp_path_factory: pytest.TempPathFactory,
    change: dict[str, str],
    words: str,
) -> None:
    """At the door as not configured; a task that runs already pauses."""
    other = opened(metabase.settings | change, tmp_path_factory)
    at_the_door, at_work = await refusal(other, False), await refusal(other, True)
    assert (type(at_the_door), type(at_work)) == (NotConfigured, PauseNeeded)
    assert words in at_the_door.message
    assert words in at_work.message


async def test_a_server_that_is_no_metabase_is_noticed(source: MetabaseSource, metabase: Metabase) -> None:
    """A web page under a 200 is not taken for a question."""
    metabase.suffer("status", on="any", status=200, body="<html>Welcome</html>", times=2)
    assert "does not answer as a Metabase does" in (await refusal(source, False)).message
    assert "web page" in (await refusal(source, True)).message


# Whole or not at all


@pytest.mark.parametrize(
    ("gzip", "fault", "error", "words"),
    [
        (True, {"kind": "truncate", "after": 60}, BrokeOff, "MB_JETTY_ASYNC_RESPONSE_TIMEOUT"),
        (True, {"kind": "truncate", "after": 10**6}, BrokeOff, "cut the export off after 63 bytes"),
        (True, {"kind": "close", "after": 30}, BrokeOff, "broke off"),
        (False, {"kind": "close", "after": 30}, BrokeOff, "broke off"),
        (False, {"kind": "truncate", "after": 20}, SourceDamaged, "in the middle of a record, after 0 whole"),
        (False, {"kind": "truncate", "after": 45}, SourceDamaged, "in the middle of a record, after 1 whole"),
        (False, {"kind": "truncate", "after": 51}, SourceDamaged, "in the middle of a record, after 1 whole"),
        (False, {"kind": "truncate", "after": 0}, SourceDamaged, "is empty, without so much as a header"),
        (False, {"kind": "no_end"}, SourceDamaged, "does not tell whether it is whole"),
        (True, {"kind": "error_inside", "after": 30}, SourceDamaged, "after 1 rows with an error: Query exc"),
        (False, {"kind": "error_inside", "after": 20}, SourceDamaged, "an error: Query exceeded the time"),
        (False, {"kind": "error_inside", "after": 50}, SourceDamaged, "an error: Query exceeded the time"),
        (True, {"kind": "error_instead"}, SourceDamaged, "an error in place of a table: Query exceeded"),
        (False, {"kind": "error_inside", "after": 0}, SourceDamaged, "an error in place of a table"),
    ],
)
async def test_an_export_that_is_not_whole_is_refused(
    source: MetabaseSource,
    metabase: Metabase,
    gzip: bool,
    fault: dict[str, object],
    error: type[RowvecError],
    words: str,
) -> None:
    """However it was cut, and whatever its status says: what broke off may be asked for again."""
    metabase.set(gzip=gzip)
    metabase.suffer(**fault)  # type: ignore[arg-type]
    refused = await refusal(source, True)
    assert type(refused) is error
    assert words in refused.message
    assert await exported(source) == TABLE


async def test_a_table_of_many_blocks_comes_whole(source: MetabaseSource, metabase: Metabase) -> None:
    """More than is held at once, packed to a small part of it."""
    metabase.ask(7, rows=120_000)
    table = (await exported(source)).decode()
    rows = list(csv.reader(io.StringIO(table)))
    assert (len(table) > 8 << 20, len(rows), rows[-1][0]) == (True, 120_001, "120000")


async def test_a_whole_reply_without_a_length_is_taken_where_it_is_packed(
    source: MetabaseSource, metabase: Metabase
) -> None:
    """The end of the gzip stream is proof enough."""
    metabase.suffer("no_end")
    assert await exported(source) == TABLE


@pytest.mark.parametrize(("rows", "suspected"), [(1999, False), (2000, True), (2001, False), (10_000, True)])
async def test_numbers_of_rows_at_which_metabase_cuts_are_suspected(
    source: MetabaseSource, metabase: Metabase, rows: int, suspected: bool
) -> None:
    """They fail unless the caller says that it is so."""
    metabase.ask(7, rows=rows)
    if suspected:
        refused = await refusal(source, True)
        assert type(refused) is SourceDamaged
        assert f"has exactly {rows:,} rows" in refused.message
        assert "allow_row_cap: true" in refused.message
    else:
        await exported(source)
    table = (await exported(source, allow_row_cap=True)).decode()
    assert sum(1 for _ in csv.reader(io.StringIO(table))) == rows + 1


async def test_more_rows_than_an_export_holds_are_noticed(source: MetabaseSource, metabase: Metabase) -> None:
    """Metabase leaves the rest out in silence; the number gives it away."""
    metabase.ask(7, b"n\n" + b"1\n" * 1_048_600)
    refused = await refusal(source, True)
    assert "has exactly 1,048,575 rows" in refused.message


async def test_an_error_longer_than_the_rows_before_it_is_found(
    source: MetabaseSource, metabase: Metabase
) -> None:
    """Stack traces are long."""
    metabase.suffer("error_inside", after=30, message="why " * 50_000)
    assert "with an error: why why" in (await refusal(source, True)).message


# The guard itself


CELLS = st.text(st.sampled_from('a1,"\n{}[]:é '), max_size=8)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8)


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "text"], *rows])
    return text.getvalue().encode()


def judged(body: bytes, cut: Callable[[bytes], list[bytes]]) -> str | None:
    """What the guard says; None where it says nothing."""
    guard = Guard("7", False)
    try:
        for block in cut(body):
            guard.see(block)
        guard.end()
    except SourceDamaged as error:
        return error.message
    return None


@given(rows=TABLES, size=st.integers(1, 9))
def test_whatever_a_csv_writer_writes_is_whole(rows: list[list[str]], size: int) -> None:
    """No cell can be taken for an error or a cut, in blocks of any size."""
    body = written(rows)
    assert judged(body, lambda body: [body[at : at + size] for at in range(0, len(body), size)]) is None


@given(rows=TABLES, data=st.data())
def test_a_cut_within_a_record_is_never_taken_for_whole(rows: list[list[str]], data: st.DataObject) -> None:
    """Any prefix that does not end where a record ends is refused."""
    body = written(rows)
    ends = {len(written(rows[:count])) for count in range(len(rows) + 1)}
    place = data.draw(st.integers(1, len(body) - 1).filter(lambda place: place not in ends))
    assert "was cut off" in (judged(body[:place], lambda body: [body]) or "")


@given(rows=TABLES, place=st.integers(0, 400))
def test_an_error_after_any_number_of_bytes_is_found(rows: list[list[str]], place: int) -> None:
    """In the middle of a record, of a quote, or between two."""
    body = written(rows)[:place] + b'{"via":[{"status":"failed"}],"error":"it \\"failed\\""}'
    assert 'it "failed"' in (judged(body, lambda body: [body]) or "")


def test_the_password_is_nowhere_in_what_is_shown(
    metabase: Metabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither the source nor its client shows it."""
    source = opened(metabase.login, tmp_path_factory)
    assert PASSWORD not in f"{source!r} {source._client} {source._client!r}"
