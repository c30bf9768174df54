"""The stand-in of Metabase answers as Metabase does."""

from __future__ import annotations

import json
import socket
import zlib
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.servers.metabase import API_KEY, PASSWORD, USERNAME, Metabase

KEY = {"x-api-key": API_KEY}
TABLE = 'id,price,note\n1,12345.5,plain\n2,7,"with ""quotes""\nand a line"\n'


def export(metabase: Metabase, number: int, **options: Any) -> httpx2.Response:
    path = f"{metabase.url}/api/card/{number}/query/csv?format_rows=false"
    headers = KEY | {"accept-encoding": "identity"}
    return httpx2.post(path, **{"headers": headers, "timeout": 60, **options})


def raw(metabase: Metabase, number: int, gzip: bool) -> bytes:
    """Every byte of the reply, as it comes over the socket."""
    place = urlsplit(metabase.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        accept = "Accept-Encoding: gzip\r\n" if gzip else ""
        connection.sendall(
            f"POST /api/card/{number}/query/csv HTTP/1.1\r\nHost: x\r\nX-Api-Key: {API_KEY}\r\n"
            f"{accept}Content-Length: 0\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_question_is_exported_as_it_is(metabase: Metabase) -> None:
    """CSV with newlines as Java writes them, under the name of the question, on a connection used once."""
    metabase.ask(7, TABLE, name="All prices")
    answer = export(metabase, 7)
    assert (answer.status_code, answer.text) == (200, TABLE)
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["content-disposition"] == 'attachment; filename="all_prices.csv"'
    assert answer.headers["connection"] == "close"
    assert answer.headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("how", [{"params": {"format_rows": "false"}}, {"json": {"format_rows": False}}])
def test_numbers_are_formatted_for_readers_unless_it_is_told_not_to(
    metabase: Metabase, how: dict[str, Any]
) -> None:
    """In the query or in the body, as versions of Metabase differ."""
    metabase.ask(7, TABLE)
    path = f"{metabase.url}/api/card/7/query/csv"
    assert '1,"12,345.5",plain' in httpx2.post(path, headers=KEY).text
    assert "1,12345.5,plain" in httpx2.post(path, headers=KEY, **how).text


@pytest.mark.parametrize(
    ("headers", "number", "status", "body"),
    [
        ({}, 7, 401, "Unauthenticated"),
        ({"x-api-key": "wrong"}, 7, 401, "Unauthenticated"),
        ({"x-metabase-session": "wrong"}, 7, 401, "Unauthenticated"),
        (KEY, 8, 404, "Not found."),
        (KEY, 9, 403, "You don't have permissions to do that."),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/query/csv")])
def test_refusals_have_metabases_words(
    metabase: Metabase, headers: dict[str, str], number: int, status: int, body: str, method: str, path: str
) -> None:
    """As plain text, for the question itself and for its export."""
    metabase.ask(7, TABLE)
    metabase.ask(9, TABLE, forbidden=1)
    answer = httpx2.request(method, f"{metabase.url}/api/card/{number}{path}", headers=headers)
    assert (answer.status_code, answer.text) == (status, body)


def test_a_session_opens_what_a_key_does_until_it_ends(metabase: Metabase) -> None:
    """A name and its password give a session; a wrong one is told at the field."""
    path = f"{metabase.url}/api/session"
    wrong = httpx2.post(path, json={"username": USERNAME, "password": "guess"})
    assert (wrong.status_code, wrong.json()) == (
        401,
        {"errors": {"password": "did not match stored password"}},
    )
    session = httpx2.post(path, json={"username": USERNAME, "password": PASSWORD}).json()["id"]
    headers = {"x-metabase-session": session}
    card = f"{metabase.url}/api/card/1"
    assert httpx2.get(card, headers=headers).json()["name"] == "A made-up table"
    metabase.end_sessions()
    assert httpx2.get(card, headers=headers).status_code == 401
    assert metabase.counters == {"session": 2, "card": 2}


def test_rows_beyond_the_cap_are_left_out_in_silence(metabase: Metabase) -> None:
    """The export ends well and says nothing."""
    metabase.set(row_cap=10)
    metabase.ask(7, "id\n" + "".join(f"{n}\n" for n in range(11)))
    answer = export(metabase, 7)
    assert (answer.status_code, answer.text.count("\n")) == (200, 11)


def test_a_time_out_cuts_the_reply_under_a_200(metabase: Metabase) -> None:
    """The reply ends cleanly; packed, it lacks the end of the gzip stream, and nobody says so."""
    metabase.ask(7, TABLE)
    metabase.suffer("truncate", after=20, times=2)
    assert export(metabase, 7).text == TABLE[:20]
    packed = raw(metabase, 7, gzip=True)
    assert packed.endswith(b"\r\n0\r\n\r\n")
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(packed.partition(b"\r\n\r\n")[2].partition(b"\r\n")[2][:20])
    assert not unpacker.eof


def test_a_lost_connection_ends_in_the_middle(metabase: Metabase) -> None:
    """Neither the length nor the last chunk is there."""
    metabase.ask(7, TABLE)
    metabase.suffer("close", after=20)
    with pytest.raises(httpx2.RemoteProtocolError):
        export(metabase, 7)


@pytest.mark.parametrize("status", [200, 202])
def test_a_failing_query_writes_its_error_into_the_table(metabase: Metabase, status: int) -> None:
    """JSON after the rows, or in their place, under the status of a good answer."""
    metabase.set(status=status)
    metabase.ask(7, TABLE)
    metabase.suffer("error_inside", after=14)
    metabase.suffer("error_instead")
    inside, instead = export(metabase, 7), export(metabase, 7)
    assert (inside.status_code, instead.status_code) == (status, status)
    assert inside.text.startswith("id,price,note\n{")
    assert json.loads(instead.text)["error"] == json.loads(inside.text[14:])["error"]


def test_faults_hit_the_place_they_are_meant_for_and_are_used_up(metabase: Metabase) -> None:
    """A 429 says how long to wait."""
    metabase.suffer("status", on="export", status=429, retry_after=3, body="Too many requests")
    assert httpx2.get(f"{metabase.url}/api/card/1", headers=KEY).status_code == 200
    refused = export(metabase, 1)
    assert (refused.status_code, refused.headers["retry-after"], refused.text) == (
        429,
        "3",
        "Too many requests",
    )
    assert export(metabase, 1).status_code == 200
    assert metabase.counters == {"card": 1, "export": 2, "exported": 1}


def test_a_control_that_there_is_not_is_refused(metabase: Metabase) -> None:
    """A misspelt fault must not pass for a good run."""
    for path, body in (("faults", {"kind": "close", "aftr": 1}), ("settings", {"rowcap": 1}), ("fautls", {})):
        assert httpx2.post(f"{metabase.url}/_standin/{path}", json=body).status_code == 400
