"""Signing in and out: what the cookie is, when it stops working, and which forms are taken."""

from __future__ import annotations

import re
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from app.config import Settings
from app.keys import for_tenant
from app.web.secret import FILE, session_secret
from app.web.session import COOKIE, LINK_SECONDS, SESSION_SECONDS, Sessions
from app.web.visitor import safe_next
from rowvec.api_key import Grants, Scope
from rowvec.errors import NotConfigured
from tests.http_service import free_port, serve
from tests.tenant_kit import OPERATOR, House, sent
from tests.web.page_kit import Visitor

PAGE = {"Accept": "text/html"}
OTHER_KEY = "vdb_live_0123456789ab_" + "0" * 64


def signed_in(house: House, key: str, **headers: str) -> httpx2.Response:
    url = house.first.url
    headers = {"Origin": url, **PAGE, **headers}
    return httpx2.post(f"{url}/sign-in", data={"key": key}, headers=headers)


def secret_of(house: House) -> str:
    return (Path(house.first.said).parent.parent / "data" / FILE).read_text()


def test_the_cookie_is_not_the_key(shared: House) -> None:
    """Out of reach of scripts and of other sites, and it ends; the key is nowhere in the answer."""
    answer = signed_in(shared, OPERATOR)
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert cookie.startswith(f"{COOKIE}=") and "Secure" not in cookie
    assert all(
        part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_SECONDS}")
    )
    assert OPERATOR not in str(answer.headers) + answer.text


def test_behind_tls_the_cookie_stays_there(shared: House) -> None:
    """As the proxy tells it."""
    cookie = signed_in(shared, OPERATOR, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=") and "Secure" in cookie and "Domain" not in cookie


@pytest.mark.parametrize(("key", "words"), [("nothing", "opens nothing"), (OTHER_KEY, "mistyped")])
def test_other_keys_are_refused_in_words(shared: House, key: str, words: str) -> None:
    """On the sign-in page, which is not given the key back."""
    answer = signed_in(shared, key)
    assert answer.status_code == 401 and words in answer.text and "set-cookie" not in answer.headers
    assert key not in answer.text.replace("opens nothing", "")


def test_failures_are_limited_and_successes_are_not(shared: House) -> None:
    """By address and minute, whichever process is asked. Where a minute ends meanwhile, ten more may fail."""
    there = {"X-Forwarded-For": "203.0.113.7"}
    assert {signed_in(shared, OPERATOR, **there).status_code for _ in range(12)} == {303}
    answers = [signed_in(shared, "wrong", **there).status_code for _ in range(10)]
    assert answers == [401] * 10
    while answers[-1] == 401 and len(answers) <= 20:
        answers.append(signed_in(shared, "wrong", **there).status_code)
    assert answers[-1] == 429
    assert signed_in(shared, OPERATOR, **there).status_code == 429
    assert signed_in(shared, OPERATOR, **{"X-Forwarded-For": "203.0.113.8"}).status_code == 303


def test_who_is_not_signed_in_is_led_there_and_back(shared: House) -> None:
    """Browsers by a redirect, htmx by its header, programs by a 401; other sites' links by one more step."""
    with shared.first.client() as client:
        answer = client.get("/tasks?status=failed", headers=PAGE)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2Ftasks%3Fstatus%3Dfailed"
        htmx = client.get(
            "/tasks", headers={"HX-Request": "true", "HX-Current-URL": f"{shared.first.url}/limits"}
        )
        assert htmx.headers["hx-redirect"] == "/sign-in?next=%2Flimits"
        assert client.get("/tasks").status_code == 401
        foreign = client.get("/tasks", headers={**PAGE, "Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 200 and 'content="0; url=/tasks"' in foreign.text
        data = {"key": OPERATOR, "next": "/tasks?status=failed"}
        entered = client.post("/sign-in", data=data, headers={"Origin": shared.first.url})
        assert entered.headers["location"] == "/tasks?status=failed"


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "", "/a\nb"]
)
def test_nobody_is_led_elsewhere(address: str) -> None:
    """What is not a path of ours becomes the first page."""
    assert safe_next(address) == "/"


def test_a_revoked_key_ends_its_sessions(shared: House) -> None:
    """At the next request, on every process; so does one that expires."""
    key_id = shared.hand_out("leaving", for_tenant("acme", Grants(Scope.READ)))
    with Visitor(shared.first.url, shared.keys["leaving"]) as visitor:
        cookies = dict(visitor._http.cookies)
        second = httpx2.get(f"{shared.second.url}/tasks", headers=PAGE, cookies=cookies)
        assert second.status_code == 200
        shared.ask(lambda ledger: ledger.revoke_key(key_id))
        for url in (shared.first.url, shared.second.url):
            assert httpx2.get(f"{url}/tasks", headers=PAGE, cookies=cookies).status_code == 303


def test_signing_out_ends_the_session(shared: House) -> None:
    """For all who have its cookie, on every process; no other session of the key."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        cookies = dict(visitor._http.cookies)
        answer = visitor.post("/sign-out")
        assert answer.status_code == 303 and "Max-Age=0" in answer.headers["set-cookie"]
        assert visitor.get("/tasks").status_code == 303
    for url in (shared.first.url, shared.second.url):
        assert httpx2.get(f"{url}/tasks", headers=PAGE, cookies=cookies).status_code == 303


def test_a_forged_or_old_cookie_opens_nothing(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another secret, a changed letter, or more than twelve hours."""
    (operator,) = re.findall(rf"{COOKIE}=([^;]+)", signed_in(shared, OPERATOR).headers["set-cookie"])
    ours, others = Sessions(secret_of(shared)), Sessions("0" * 64)
    key_id, mark = ours._cookies.loads(operator)
    old = _at(monkeypatch, -SESSION_SECONDS - 60, lambda: ours._cookies.dumps([key_id, mark]))
    young = _at(monkeypatch, -SESSION_SECONDS + 60, lambda: ours._cookies.dumps([key_id, mark]))
    for token, opens in (
        (operator, True), (young, True), (old, False), (operator[:-2] + "xx", False),
        (others._cookies.dumps([key_id, mark]), False), (ours.link_token(key_id), False), ("", False),
    ):  # fmt: skip
        answer = httpx2.get(f"{shared.first.url}/tasks", headers=PAGE, cookies={COOKIE: token})
        assert (answer.status_code == 200) == opens, token


def _at(monkeypatch: pytest.MonkeyPatch, shift: int, make: object) -> str:
    """What would have been signed then."""
    real = time.time
    with monkeypatch.context() as then:
        then.setattr("itsdangerous.timed.time", SimpleNamespace(time=lambda: real() + shift))
        return str(make())  # type: ignore[operator]


def test_a_link_signs_in_once(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by one process, used at another, and then no more; nor after ten minutes."""
    sessions = Sessions(secret_of(shared))
    key_id = shared.hand_out("owner", Grants())
    token = sessions.link_token(key_id)
    first = httpx2.get(f"{shared.second.url}/sign-in", params={"token": token}, headers=PAGE)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    again = httpx2.get(f"{shared.first.url}/sign-in", params={"token": token}, headers=PAGE)
    assert again.status_code == 401 and "used already" in again.text and "set-cookie" not in again.headers
    late = _at(monkeypatch, -LINK_SECONDS - 5, lambda: sessions.link_token(key_id))
    assert httpx2.get(f"{shared.first.url}/sign-in", params={"token": late}).status_code == 401


def test_the_embedded_service_prints_such_a_link(tmp_path: Path) -> None:
    """`serve` does; it opens the dashboard, and holds no key."""
    port = str(free_port())
    transport = httpx2.HTTPTransport(retries=7)
    with (
        serve([sys.executable, "-m", "app", "serve"], tmp_path, PORT=port) as service,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=60) as client,
    ):
        assert client.get("/livez").status_code == 200
        (link,) = re.findall(r"http://127\.0\.0\.1:\d+/sign-in\?token=\S+", service.stderr)
        assert client.get(link, headers=PAGE).status_code == 303
        page = client.get("/", headers=PAGE)
        assert page.status_code == 200 and "No tasks yet" in page.text


@pytest.mark.parametrize(
    ("token", "origin"),
    [
        ("own", None),
        ("own", "https://evil.example"),
        ("own", "null"),
        ("other", "own"),
        ("", "own"),
        (None, "own"),
    ],
)
def test_forms_that_are_not_ours_change_nothing(shared: House, token: str | None, origin: str | None) -> None:
    """A foreign or missing origin, another session's token, or none."""
    with shared.api("acme-write") as api:
        task_id = sent(api, namespace="acme", batch_size=7)
    with (
        Visitor(shared.first.url, shared.keys["acme-write"]) as one,
        Visitor(shared.first.url, OPERATOR) as two,
    ):
        fields = {"own": {"csrf": one.csrf}, "other": {"csrf": two.csrf}, "": {"csrf": ""}, None: {}}[token]
        headers = {"Origin": one.origin if origin == "own" else origin} if origin else {}
        answer = one._http.post(f"/tasks/{task_id}/cancel", data=fields, headers=headers)
        assert answer.status_code == 403 and "Load the page anew" in answer.text
        assert one.post(f"/tasks/{task_id}/verify", htmx=True).status_code != 403
    with shared.api("acme-read") as api:
        assert api.get(f"/api/v1/status/{task_id}").json()["status"] not in ("cancelling", "cancelled")


def test_processes_that_start_at_once_share_one_secret(tmp_path: Path) -> None:
    """Whole from the first moment, and readable by its owner only."""
    config = Settings(_env_file=None, data_dir=tmp_path / "data")
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: session_secret(config), range(64)))
    (secret,) = found
    assert len(secret) == 64
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert [place.name for place in (tmp_path / "data").iterdir()] == [FILE]


@pytest.mark.parametrize("secret", ["short", "changeme-changeme-changeme-changeme"])
def test_a_weak_secret_is_refused(tmp_path: Path, secret: str) -> None:
    """In words that do not repeat it."""
    config = Settings(_env_file=None, data_dir=tmp_path, session_secret=secret)
    with pytest.raises(NotConfigured, match="SESSION_SECRET") as refused:
        session_secret(config)
    assert secret not in refused.value.message
