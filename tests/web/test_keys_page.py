"""Keys in the dashboard: what the command line does, for the operator alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rowvec.api_key import Grants, Scope
from tests.http_service import Running
from tests.tenant_kit import House, house
from tests.web.page_kit import Visitor, told_beside


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def operator(home: House) -> Iterator[Visitor]:
    with Visitor(home.first.url, home.keys["operator"]) as made:
        yield made


def key_on(page: str) -> str:
    found = re.search(r'id="new-key">(vdb_live_\w+)<', page)
    assert found, page
    return found[1]


def status_with(service: Running, key: str, method: str = "GET", path: str = "/api/v1/tasks") -> int:
    with service.client(key) as api:
        return api.request(method, path).status_code


def test_a_key_is_shown_once_and_opens_what_it_says(home: House, operator: Visitor) -> None:
    """Its answer may not be kept, no later page has it, and its limits are those of the form."""
    wish = {"name": "nightly", "scope": "read", "tenant": "acme", "requests_per_second": "7", "days": "1.5"}
    answer = operator.post("/keys", wish)
    key = key_on(answer.text)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert key not in operator.get("/keys").text and "nightly" in operator.get("/keys").text
    assert status_with(home.second, key) == 200
    assert status_with(home.second, key, "POST", "/api/v1/files") == 403
    stored = home.ask(lambda ledger: ledger.key(key.split("_")[2]))
    assert stored and stored.grants.tenant == "acme" and stored.grants.requests_per_second == 7
    assert stored.grants.namespaces == ("acme", "acme.*") and stored.grants.sources == ("upload",)
    assert stored.expires_at == pytest.approx(stored.created_at + 1.5 * 86_400)


def test_rotation_leaves_both_open_for_a_while(home: House, operator: Visitor) -> None:
    """Or the new one alone, where the old one is to open no longer."""
    old = key_on(operator.post("/keys", {"name": "to rotate", "scope": "write"}).text)
    new = key_on(operator.post(f"/keys/{old.split('_')[2]}/rotate", {"hours": "24"}).text)
    assert status_with(home.first, old) == status_with(home.first, new) == 200
    last = key_on(operator.post(f"/keys/{new.split('_')[2]}/rotate", {"hours": "0"}).text)
    assert [status_with(home.second, key) for key in (old, new, last)] == [200, 401, 200]


def test_a_revoked_key_opens_nothing(home: House, operator: Visitor) -> None:
    """Neither the API nor a session that began before."""
    key = key_on(operator.post("/keys", {"name": "to revoke", "scope": "admin"}).text)
    with Visitor(home.first.url, key) as visitor:
        assert visitor.get("/keys").status_code == 200
        answer = operator.post(f"/keys/{key.split('_')[2]}/revoke", htmx=True)
        assert answer.headers["hx-redirect"] == "/keys"
        assert visitor.get("/keys").status_code == 303
    assert status_with(home.second, key) == 401


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("days", "soon", "not a number"),
        ("days", "-1", "above 0"),
        ("days", "nan", "above 0"),
        ("tokens_per_day", "1.5", "whole number"),
        ("tenant", "Not A Tenant", "cannot be a tenant"),
        ("scope", "everything", "must be one of"),
        ("name", "x" * 201, "At most 200"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(operator: Visitor, field: str, value: str, words: str) -> None:
    """And no key is made; what was typed is kept."""
    answer = operator.post("/keys", {"name": "refused", field: value})
    assert answer.status_code == 422 and words in told_beside(answer.text, field)
    assert 'id="new-key"' not in answer.text
    assert "<bdi>refused" not in operator.get("/keys").text


def test_only_an_unbounded_operator_gets_there(home: House) -> None:
    """Others, who could leave their own bounds so, are refused at every route, and do not see the link."""
    home.hand_out("reader", Grants(Scope.READ))
    home.hand_out("writer", Grants(Scope.WRITE))
    home.hand_out("narrow", Grants(namespaces=("a",)))
    home.hand_out("slow", Grants(requests_per_second=1000))
    for name in ("reader", "writer", "narrow", "slow", "acme-admin"):
        with Visitor(home.first.url, home.keys[name]) as visitor:
            assert visitor.get("/keys").status_code == 403
            for path in ("/keys", "/keys/0123456789ab/rotate", "/keys/0123456789ab/revoke"):
                assert visitor.post(path, {"scope": "admin"}).status_code == 403
            if name in ("reader", "writer", "acme-admin"):
                assert 'href="/keys"' not in visitor.get("/search").text


def test_a_name_is_text(operator: Visitor) -> None:
    """Whatever somebody calls a key."""
    operator.post("/keys", {"name": "<script>alert(1)</script>", "scope": "read"})
    page = operator.get("/keys").text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page


def test_no_key_of_that_id(operator: Visitor) -> None:
    assert operator.post("/keys/nobody/rotate", {"hours": "1"}).status_code == 404
    assert operator.post("/keys/nobody/revoke").status_code == 404
