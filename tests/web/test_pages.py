"""The pages of tasks: what they show and to whom, and what stands in the headers of every page."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from app.api.headers import SECURITY_HEADERS
from app.web.render import POLICY
from app.web.statics import FOLDER, release
from rowvec.model import Flag
from tests.http_service import follow
from tests.tenant_kit import OPERATOR, House, sent
from tests.web.conftest import HOSTILE
from tests.web.page_kit import Visitor

PAGES = ("/", "/tasks", "/tasks?status=completed", "/limits", "/search", "/new", "/keys", "/nothing")
OF_A_TASK = ("", "/chunks", "/errors")


class Inline(HTMLParser):
    """What in a page could run, or style it, without being a file of ours."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        data = (named.get("type") or "").endswith("json")
        if tag == "style" or (tag == "script" and "src" not in named and not data):
            self.found.append(tag)
        self.found += [name for name in named if name.startswith(("on", "hx-on")) or name == "style"]
        self.found += [value for value in named.values() if value and value.strip().startswith("javascript:")]


def every_page(task_id: str) -> list[str]:
    return [*PAGES, *(f"/tasks/{task_id}{part}" for part in OF_A_TASK)]


def test_no_page_brings_a_script_or_a_style_of_its_own(shared: House, hostile_task: str) -> None:
    """And each forbids them; what a table holds is text on all of them."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        for path in every_page(hostile_task):
            page = visitor.get(path)
            assert page.headers["Content-Security-Policy"] == POLICY, path
            assert page.headers["X-Frame-Options"] == "DENY" and page.headers["Cache-Control"] == "no-store"
            assert Inline(page.text).found == [], path
            assert "<img src=x" not in page.text and "<b>bold" not in page.text, path
        assert (
            visitor.get("/api/v1/tasks").headers["Content-Security-Policy"]
            == (SECURITY_HEADERS["Content-Security-Policy"])
        )


def test_a_page_that_is_not_there_has_the_menu(shared: House) -> None:
    """For who is signed in, wherever the address leads; a stranger learns nothing by it."""
    with Visitor(shared.first.url, OPERATOR) as visitor, httpx2.Client(base_url=shared.first.url) as stranger:
        for path, status in (("/nothing", 404), ("/tasks/none", 404), ("/sample", 405)):
            page = visitor.get(path)
            assert page.status_code == status
            assert '<nav aria-label="Pages">' in page.text and "Sign out" in page.text, path
        page = stranger.get("/nothing", headers={"Accept": "text/html"})
        assert page.status_code == 404 and "<nav" not in page.text


def test_a_hostile_table_is_shown_as_text(shared: House, hostile_task: str) -> None:
    """Its name and its columns, in the list, on its page and in its stream."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        escaped = "&lt;img src=x onerror=alert(1)&gt;.csv"
        assert HOSTILE == "<img src=x onerror=alert(1)>.csv"
        assert f'<bdi class="wrap">{escaped}</bdi>' in visitor.get("/tasks").text
        page = visitor.get(f"/tasks/{hostile_task}").text
        assert f"<bdi>{escaped}</bdi>" in page and "&lt;script&gt;alert(1)" in page
        regions = visitor.get(f"/live/tasks/{hostile_task}", headers={"Accept": "application/json"}).json()[
            "regions"
        ]
        assert escaped in regions["state"] and Inline("".join(regions.values())).found == []


def test_every_row_is_accounted_for_on_the_page(shared: House, hostile_task: str) -> None:
    """As the API has it; a task that left a row out is told apart, in words."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        law = visitor.get(f"/api/v1/status/{hostile_task}", headers={"X-API-Key": OPERATOR}).json()[
            "conservation"
        ]
        page = visitor.get(f"/tasks/{hostile_task}").text
    shown = dict(re.findall(r"</span>([A-Z][a-z ]+).*?</th><td class=\"number\">([\d,]+)</td>", page))
    assert shown["In the index"] == str(law["upserted"]) and shown["Rejected"] == str(law["rejected"])
    if law["rejected"]:
        assert "Completed in part" in page and "Needs you" in page


def test_readers_see_no_buttons_and_are_refused(shared: House) -> None:
    """What a key may not do is neither offered nor done."""
    with shared.api("acme-write") as api:
        task_id = sent(api, namespace="acme", batch_size=5)
        assert follow(api, task_id)[-1] == "end"
    with (
        Visitor(shared.first.url, shared.keys["acme-read"]) as reader,
        Visitor(shared.first.url, shared.keys["acme-write"]) as writer,
    ):
        offered = [
            re.findall(r'hx-post="([^"]+)"', v.get(f"/tasks/{task_id}").text) for v in (reader, writer)
        ]
        assert offered[0] == [f"/tasks/{task_id}/verify"]
        assert f"/tasks/{task_id}/retry-rejected" in offered[1]
        assert 'href="/new"' not in reader.get("/").text and 'href="/new"' in writer.get("/").text
        assert 'href="/keys"' not in writer.get("/").text
        for action in ("pause", "resume", "cancel", "retry", "retry-rejected"):
            answer = reader.post(f"/tasks/{task_id}/{action}")
            assert answer.status_code == 403 and "may read" in answer.text
        assert [v.get(path).status_code for v, path in ((reader, "/new"), (writer, "/keys"))] == [403, 403]
        assert "Every row is where it should be" in reader.post(f"/tasks/{task_id}/verify", htmx=True).text


def test_another_tenants_tasks_do_not_exist(shared: House) -> None:
    """Not in the list, nor under their address, nor as a stream, nor for a form."""
    with shared.api("acme-write") as api:
        theirs = sent(api, namespace="acme", batch_size=3)
    with Visitor(shared.first.url, shared.keys["other-admin"]) as other:
        assert theirs not in other.get("/tasks").text
        for path in (f"/tasks/{theirs}", f"/tasks/{theirs}/chunks", f"/live/tasks/{theirs}"):
            assert other.get(path).status_code == 404, path
        assert other.post(f"/tasks/{theirs}/cancel").status_code == 404
        counts = re.findall(r'class="count">([\d+]+)<', other.get("/tasks").text)
        assert set(counts) <= {"0"}


def test_a_task_is_paused_resumed_and_cancelled(shared: House) -> None:
    """By a form without a script, which leads back to the page, and by htmx, which gets a notice."""
    with shared.api("acme-write") as api, Visitor(shared.first.url, shared.keys["acme-write"]) as visitor:
        task_id = sent(api, namespace="acme", batch_size=2)
        shared.ask(lambda ledger: ledger.flag(task_id, Flag.PAUSE, "paused on request"))
        page = visitor.get(f"/tasks/{task_id}").text
        if "Paused" in page:
            assert "Needs you" in page and "Resume goes on where it stopped" in page
            answer = visitor.post(f"/tasks/{task_id}/resume")
            assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/{task_id}")
        follow(api, task_id)
        answer = visitor.post(f"/tasks/{task_id}/cancel", htmx=True)
        assert (
            answer.status_code == 409 and 'class="notice bad"' in answer.text and "<html" not in answer.text
        )


def test_pages_of_a_list_follow_each_other(shared: House) -> None:
    """With the filter kept; a cursor that is none is refused on a page."""
    with shared.api("other-write") as api, Visitor(shared.first.url, shared.keys["other-write"]) as visitor:
        ids = {sent(api, namespace="other", batch_size=size) for size in range(1, 28)}
        first = visitor.get("/tasks")
        (older,) = re.findall(r'href="(/tasks\?cursor=[^"]+)"', first.text)
        second = visitor.get(older.replace("&amp;", "&"))
        found = [set(re.findall(r'href="/tasks/([0-9a-f-]{36})"', page.text)) for page in (first, second)]
        assert not found[0] & found[1] and ids <= found[0] | found[1]
        assert visitor.get("/tasks?cursor=nonsense").status_code == 422
        assert visitor.get("/tasks?status=sleeping").status_code == 422


def test_refusals_are_pages_for_browsers_and_problems_for_programs(shared: House) -> None:
    """Below /api always problems."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        page = visitor.get("/tasks/none")
        assert page.status_code == 404 and "There is nothing here" in page.text and "<nav" in page.text
        assert visitor.get("/nothing", headers={"Accept": "*/*"}).json()["code"] == "not-found"
        assert visitor.get("/api/v1/nothing").json()["code"] == "not-found"
        notice = visitor.get("/tasks/none", headers={"HX-Request": "true"})
        assert notice.text.startswith('<div class="notice bad">') and notice.status_code == 404


def test_styles_and_scripts_may_be_kept_for_ever(shared: House) -> None:
    """Under the address of their content; another release's address says what there is now, for now."""
    with shared.first.client() as client:
        for path, kind in (
            ("css/base.css", "text/css"),
            ("js/app.js", "text/javascript"),
            ("mark.svg", "image/svg"),
        ):
            answer = client.get(f"/static/{release()}/{path}")
            assert answer.content == (FOLDER / path).read_bytes()
            assert answer.headers["content-type"].startswith(kind)
            assert "immutable" in answer.headers["cache-control"]
            assert client.get(f"/static/old/{path}").headers["cache-control"] == "no-cache"
        for path in ("js/none.js", "../render.py", "%2e%2e/render.py", "css"):
            assert client.get(f"/static/{release()}/{path}").status_code == 404


def test_what_was_taken_from_others_is_what_they_published() -> None:
    """Each file with its licence, byte for byte as it was when its checksum was written down."""
    vendor = FOLDER / "vendor"
    lines = (vendor / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in vendor.iterdir()}
    found.pop("SHA256SUMS")
    assert found == told
    assert {name.partition("-")[0] for name in told if "LICENSE" in name} == {"htmx", "uplot"}


def test_the_sample_is_one_press_away(shared: House) -> None:
    """It becomes a task like any other; a key that may not fill its namespace is refused."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        answer = visitor.post("/sample", htmx=True)
        address = answer.headers["hx-redirect"]
        assert "python-stdlib" in visitor.get(address).text
        with shared.first.client(OPERATOR) as api:
            api.post(f"/api/v1{address}/cancel").raise_for_status()
    with Visitor(shared.first.url, shared.keys["acme-write"]) as visitor:
        assert visitor.post("/sample").status_code == 403


def test_every_address_in_a_page_leads_somewhere(shared: House, hostile_task: str) -> None:
    """Links, styles and scripts."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        found = set[str]()
        for path in ("/tasks", f"/tasks/{hostile_task}"):
            found |= set(re.findall(r'(?:href|src)="(/[^"#]*)"', visitor.get(path).text))
        assert len(found) > 10
        for address in found:
            assert visitor.get(address.replace("&amp;", "&")).status_code == 200, address


@pytest.mark.parametrize("script", sorted(path.name for path in (FOLDER / "js").glob("*.js")))
def test_scripts_evaluate_nothing(script: str) -> None:
    """Nor do they make markup of anything but what the service rendered."""
    text = Path(FOLDER / "js" / script).read_text()
    assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML", text)
    assert text.count("innerHTML") == {"live.js": 1, "grid.js": 1}.get(script, 0)
