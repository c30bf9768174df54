"""A key sees its tenant's tasks, uploads and namespaces; nobody else's exist for it."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from app.api.auth import Administering, Writing
from app.keys import for_tenant, successor
from rowvec.api_key import Grants, Scope
from tests.http_service import follow
from tests.tenant_kit import House, house, routes, send, sent, told, until

ROUTES = sorted((method, route.path) for route in routes() for method in route.methods or ())
OF_A_TASK = [(method, path) for method, path in ROUTES if "{task_id}" in path]
NEEDED = {
    ("POST", "/api/v1/process"): Scope.WRITE,
    ("POST", "/api/v1/estimate"): Scope.WRITE,
    ("POST", "/api/v1/preview"): Scope.WRITE,
    ("POST", "/api/v1/files"): Scope.WRITE,
    ("PUT", "/api/v1/files"): Scope.WRITE,
    **{("POST", f"/api/v1/tasks/{{task_id}}/{what}"): Scope.WRITE for what in ("pause", "resume", "cancel")},
    ("POST", "/api/v1/tasks/{task_id}/retry"): Scope.WRITE,
    ("DELETE", "/api/v1/tasks/{task_id}/vectors"): Scope.ADMIN,
}
"""What needs more than reading."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house"), ENVIRONMENT="production") as made:
        yield made


@pytest.fixture(scope="module")
def acme(home: House) -> Iterator[httpx2.Client]:
    with home.api("acme-admin") as client:
        yield client


@pytest.fixture(scope="module")
def other(home: House) -> Iterator[httpx2.Client]:
    with home.api("other-admin") as client:
        yield client


@pytest.fixture(scope="module")
def task(acme: httpx2.Client) -> str:
    """A task of acme's that has ended, with a rejected row."""
    task_id = sent(acme)
    assert follow(acme, task_id)[-1] == "end"
    status = acme.get(f"/api/v1/status/{task_id}").json()
    assert (status["namespace"], status["conservation"]["rejected"]) == ("acme", 1)
    return task_id


def body_of(method: str, path: str) -> dict[str, Any]:
    if path.endswith("/files"):
        return {"content": "id\n1\n", "headers": {"Content-Type": "text/csv"}}
    wishes = {"process": {"data_source": "upload", "file_id": "x"}, "search": {"query": "lamp"}}
    wish = wishes.get(re.sub("estimate|preview", "process", path.rpartition("/")[2]))
    return {"json": wish} if wish else {}


@pytest.mark.parametrize(("method", "path"), OF_A_TASK)
def test_a_foreign_task_is_an_unknown_one(
    home: House, other: httpx2.Client, task: str, method: str, path: str
) -> None:
    """In every route there is: status and words are those for an id that nobody ever gave."""
    nobodys = str(uuid.uuid4())
    foreign = told(other.request(method, path.format(task_id=task)), task)
    assert foreign == told(other.request(method, path.format(task_id=nobodys)), nobodys)
    assert foreign[0] == 404
    assert foreign[1]["code"] == "unknown-task"
    with home.api("operator") as operator:
        assert operator.get(f"/api/v1/status/{task}").status_code == 200


def test_a_foreign_task_is_still_whole(acme: httpx2.Client, task: str) -> None:
    """After all that was asked of it by others: nothing was cancelled, removed or retried."""
    assert acme.get(f"/api/v1/status/{task}").json()["status"] == "completed"
    assert acme.post(f"/api/v1/tasks/{task}/verify").json()["found"] == 2


def test_the_list_holds_ones_own(home: House, acme: httpx2.Client, other: httpx2.Client, task: str) -> None:
    """Also page by page, and by state; the operator sees all."""
    mine = sent(other, namespace="other.list")
    assert task not in other.get("/api/v1/tasks").text
    listed = [one["task_id"] for one in acme.get("/api/v1/tasks", params={"limit": 200}).json()["tasks"]]
    assert task in listed and mine not in listed
    assert task not in other.get("/api/v1/tasks", params={"status": "completed"}).text
    with home.api("operator") as operator:
        text = operator.get("/api/v1/tasks", params={"limit": 200}).text
        assert task in text and mine in text


def test_a_foreign_parent_is_an_unknown_one(other: httpx2.Client, task: str) -> None:
    """Repairing somebody else's rows would take over their options and columns."""
    nobodys = str(uuid.uuid4())
    foreign = told(send(other, parent_id=task), task)
    assert foreign == told(send(other, parent_id=nobodys), nobodys)
    assert foreign[0] == 404


def test_a_foreign_upload_is_an_unknown_one(acme: httpx2.Client, other: httpx2.Client) -> None:
    """Its id tells whose it is; for anybody else there is no such file, in estimates neither."""
    upload = acme.post("/api/v1/files", content="id\n1\n", headers={"Content-Type": "text/csv"})
    theirs = upload.json()["file_id"]
    nobodys = f"other-{uuid.uuid4().hex}"
    for path in ("/api/v1/process", "/api/v1/estimate", "/api/v1/preview"):
        foreign = told(other.post(path, json={"data_source": "upload", "file_id": theirs}), theirs)
        unknown = told(other.post(path, json={"data_source": "upload", "file_id": nobodys}), nobodys)
        assert foreign == unknown
        assert foreign[0] == 404
    assert send(acme, file_id=theirs, namespace="acme.upload").status_code == 202


def test_idempotency_keys_are_ones_own(acme: httpx2.Client, other: httpx2.Client) -> None:
    """The same key of another tenant is neither a conflict nor an answer with a foreign task."""
    once = {"Idempotency-Key": "the same for both"}
    first = send(acme, once, namespace="acme.once")
    theirs = send(other, once, namespace="other.once")
    assert (first.status_code, theirs.status_code) == (202, 202)
    assert first.json()["task_id"] != theirs.json()["task_id"]


def test_only_ones_own_namespaces(acme: httpx2.Client, other: httpx2.Client, task: str) -> None:
    """Writing and searching elsewhere is refused in the same words, whether anything is there or not."""
    ways: tuple[Callable[[str], httpx2.Response], ...] = (
        lambda name: send(other, namespace=name),
        lambda name: other.post("/api/v1/search", json={"query": "lamp", "namespace": name}),
    )
    refusals = [told(do(name), name) for name in ("acme", "nobodys", "default") for do in ways]
    assert {status for status, _ in refusals} == {403}
    assert len({str(body) for _, body in refusals}) == 1
    found = acme.post("/api/v1/search", json={"query": "lamp", "namespace": "acme"}).json()["matches"]
    assert {match["id"] for match in found} == {"p1", "p2"}


def test_a_prefix_ends_where_a_name_may_end(home: House) -> None:
    """`acme` is no prefix of the tenant `acme-two`, nor the other way round."""
    grants = for_tenant("acme", Grants())
    assert grants.takes_namespace("acme") and grants.takes_namespace("acme.shop")
    assert not grants.takes_namespace("acme-two") and not grants.takes_namespace("acm")


def test_sources_are_granted(home: House, acme: httpx2.Client) -> None:
    """A tenant reads its uploads; a folder of the bucket only where its key says so, nothing beside it."""
    assert send(acme, data_source="s3_csv", s3_key="own.csv").status_code == 403
    assert send(acme, data_source="metabase", question_id=1).status_code == 403
    home.hand_out("acme-files", for_tenant("acme", Grants(Scope.WRITE, sources=("s3_csv:acme/*",))))
    with home.api("acme-files") as api:
        assert send(api, data_source="s3_csv", s3_key="acme/mine.csv").status_code == 202
        for key in ("own.csv", "acme/../own.csv", "acme//../own.csv", "acmeown.csv"):
            answer = send(api, data_source="s3_csv", s3_key=key)
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed"), key


def test_no_address_of_a_request_is_asked(home: House) -> None:
    """Wherever an address can be written, it is a name of something here, and nobody is called."""
    with home.api("operator") as api, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        for address in (f"http://{place}/t.csv", f"s3://{place}/t.csv", f"//{place}/t.csv", place):
            for wish in (
                {"data_source": "s3_csv", "s3_key": address},
                {"data_source": "upload", "file_id": address},
                {"data_source": address, "ref": address},
                {"data_source": "s3_csv", "s3_key": "own.csv", "webhook_url": address},
                {"data_source": "s3_csv", "s3_key": "own.csv", "namespace": address},
            ):
                for path in ("process", "estimate", "preview"):
                    headers = {"X-Forwarded-Host": place, "Forwarded": f"host={place}", "Host": place}
                    answer = api.post(f"/api/v1/{path}", json=wish, headers=headers)
                    assert answer.status_code in (403, 404, 422), (wish, answer.text)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_scopes(home: House, task: str, method: str, path: str) -> None:
    """What changes something needs write, what takes vectors out admin: for every route there is."""
    needed = NEEDED.get((method, path), Scope.READ)
    for scope in Scope:
        with home.api(f"other-{scope}") as api:
            answer = api.request(method, path.format(task_id=task), **body_of(method, path))
        if scope.holds(needed):
            assert answer.status_code != 403
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")


def test_every_route_says_what_it_needs() -> None:
    """The dependencies are the table above: a new route is read by default, and listed here if it writes."""
    declared = {Writing.dependency: Scope.WRITE, Administering.dependency: Scope.ADMIN}
    found = {
        (method, route.path): declared[need.dependency]
        for route in routes()
        for method in route.methods or ()
        for need in route.dependencies
    }
    assert found == NEEDED


def test_metrics_are_the_operators(home: House, acme: httpx2.Client) -> None:
    """They count every tenant's requests; docs may be read with any key."""
    assert acme.get("/metrics").status_code == 403
    assert acme.get("/openapi.json").status_code == 200
    with home.api("operator") as operator:
        assert operator.get("/metrics").status_code == 200


def test_an_expired_key_opens_nothing(home: House) -> None:
    """In the words for one that never was."""
    home.hand_out("expired", Grants(), expires_at=time.time() - 1)
    home.hand_out("lasting", Grants(), expires_at=time.time() + 3_600)
    with home.api("expired") as api:
        answer = api.get("/api/v1/tasks")
        assert (answer.status_code, answer.json()["detail"]) == (401, "This API key is not valid.")
    with home.api("lasting") as api:
        assert api.get("/api/v1/tasks").status_code == 200


def test_rotation_leaves_no_gap(home: House, task: str) -> None:
    """Old and new open side by side and see the same tasks; after the overlap only the new one does."""
    key_id = home.hand_out("old", for_tenant("acme", Grants()))
    old = home.ask(lambda ledger: ledger.key(key_id))
    assert old is not None
    stored, home.keys["new"] = successor(old, time.time())
    home.ask(lambda ledger: ledger.rotate_key(key_id, stored, time.time() + 3_600))
    for name in ("old", "new"):
        with home.api(name) as api:
            assert api.get(f"/api/v1/status/{task}").status_code == 200
    again, home.keys["newest"] = successor(stored, time.time())
    home.ask(lambda ledger: ledger.rotate_key(stored.id, again, time.time()))
    with home.api("new") as api:
        assert api.get("/api/v1/tasks").status_code == 401
    with home.api("newest") as api:
        assert api.get(f"/api/v1/status/{task}").status_code == 200


def test_revocation_holds_at_once_in_every_process(home: House) -> None:
    """The next request to either process is refused, and a stream that is open ends."""
    key_id = home.hand_out("revoked", for_tenant("acme", Grants(Scope.WRITE)))
    with home.api("revoked") as api, home.api("revoked", home.second) as there:
        waiting = sent(api, namespace="acme.revoked", max_tokens=1)
        until(there, waiting, "paused")
        with there.stream("GET", f"/api/v1/tasks/{waiting}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("event:")
            home.ask(lambda ledger: ledger.revoke_key(key_id))
            assert [client.get("/api/v1/tasks").status_code for client in (api, there)] == [401, 401]
            give_up = time.monotonic() + 30
            for line in lines:
                assert line != "event: end"
                assert time.monotonic() < give_up, "the stream goes on"
