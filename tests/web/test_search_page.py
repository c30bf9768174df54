"""Search in the dashboard: rows and scores of one's own namespaces, and their content as text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http_service import follow
from tests.tenant_kit import House, house, sent
from tests.web.page_kit import Visitor

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        with made.api("acme-admin") as acme:
            table = f"id,title\np1,a lamp {HOSTILE}\np2,\u202etxt.exe\n"
            answer = acme.post("/api/v1/files", content=table, headers={"Content-Type": "text/csv"})
            assert follow(acme, sent(acme, file_id=answer.json()["file_id"]))[-1] == "end"
        yield made


def test_rows_and_scores_are_shown(home: House) -> None:
    """The nearest first, as the API has them; for htmx without the page around."""
    with Visitor(home.first.url, home.keys["acme-read"]) as visitor, home.api("acme-read") as api:
        best = api.post("/api/v1/search", json={"query": "lamp"}).json()["matches"][0]
        for headers in ({}, {"HX-Request": "true"}):
            page = visitor.get("/search?q=lamp", headers=headers).text
            assert f"<strong>{best['score']:.3f}</strong>" in page and best["id"] == "p1"
            assert ("<html" in page) == (not headers)


def test_content_is_text(home: House) -> None:
    """Marks of rows are escaped, and what turns text around is kept to its own element."""
    with Visitor(home.first.url, home.keys["acme-read"]) as visitor:
        page = visitor.get("/search", params={"q": f"lamp {HOSTILE}"}).text
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "\u202e" in page and 'class="embedded" dir="auto"' in page


def test_other_namespaces_are_not_searched(home: House) -> None:
    """Refused in words, whether there is such a namespace or not; what is offered is one's own."""
    with Visitor(home.first.url, home.keys["other-read"]) as visitor:
        for name in ("acme", "nothing-there"):
            answer = visitor.get("/search", params={"q": "lamp", "namespace": name})
            assert answer.status_code == 422 and "is none of them" in answer.text
            assert 'class="found"' not in answer.text
        assert '<option value="acme">' not in visitor.get("/search").text
    with Visitor(home.first.url, home.keys["acme-read"]) as visitor:
        assert '<option value="acme">' in visitor.get("/search").text


def test_an_empty_place_says_so(home: House) -> None:
    with Visitor(home.first.url, home.keys["acme-read"]) as visitor:
        assert "There are no rows in" in visitor.get("/search?q=lamp&namespace=acme.empty").text
        assert "Rows appear here" in visitor.get("/search?q=%20").text
