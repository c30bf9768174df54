"""The stream of a page: whole at its beginning, what changed after that, one look for all who watch."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.keys import for_tenant
from app.web.live import END, TROUBLE, WELL, Channel, Live, Picture, _news
from rowvec.api_key import Grants, Scope
from rowvec.errors import Unavailable
from tests.http_service import serve, uvicorn
from tests.tenant_kit import OPERATOR, House, sent
from tests.web.page_kit import Visitor

STREAM = {"Accept": "text/event-stream"}


def events(answer: httpx2.Response) -> Iterator[tuple[str, str]]:
    """Name and data, as a browser puts them together."""
    name, data = "", list[str]()
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and name:
            yield name, "\n".join(data)
            name, data = "", []


def test_a_stream_begins_with_what_the_page_shows(shared: House, hostile_task: str) -> None:
    """Every region of it, the same for who asks for JSON; that of an ended task ends."""
    with Visitor(shared.first.url, OPERATOR) as visitor:
        page = visitor.get(f"/tasks/{hostile_task}").text
        told = visitor.get(f"/live/tasks/{hostile_task}", headers={"Accept": "application/json"}).json()
        with visitor._http.stream("GET", f"/live/tasks/{hostile_task}", headers=STREAM) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
            found = list(events(answer))
    assert found[-1] == (END, "") and told["end"] is True
    regions = dict(found[:-1])
    assert set(regions) == {"state", "actions", "progress", "pace", "outcomes", "about"}
    assert {name: html.split() for name, html in told["regions"].items()} == {
        name: html.split() for name, html in regions.items()
    }
    for name in ("state", "progress", "outcomes", "about"):
        assert " ".join(regions[name].split()) in " ".join(page.split()), name


def test_a_list_tells_of_a_new_task(shared: House) -> None:
    """While somebody watches, and only in the regions that changed."""
    with (
        shared.api("acme-write") as api,
        Visitor(shared.first.url, shared.keys["acme-write"]) as visitor,
        visitor._http.stream("GET", "/live/tasks", headers=STREAM) as answer,
    ):
        coming = events(answer)
        assert {next(coming)[0], next(coming)[0]} == {"filters", "list"}
        task_id = sent(api, namespace="acme", batch_size=11)
        assert any(name == "list" and task_id in html for name, html in coming)


def test_a_stream_ends_with_its_key(shared: House) -> None:
    """And cannot be opened again."""
    key_id = shared.hand_out("watching", for_tenant("acme", Grants(Scope.READ)))
    with Visitor(shared.first.url, shared.keys["watching"]) as visitor:
        with visitor._http.stream("GET", "/live/tasks", headers=STREAM) as answer:
            coming = events(answer)
            next(coming)
            shared.ask(lambda ledger: ledger.revoke_key(key_id))
            for _ in coming:
                pass
        assert visitor.get("/live/tasks", headers=STREAM).status_code == 401


def test_streams_end_when_the_service_is_told_to_stop(tmp_path: Path) -> None:
    """It does not wait for browsers to go."""
    with serve(uvicorn(), tmp_path, API_KEYS=OPERATOR) as service, Visitor(service.url, OPERATOR) as visitor:
        with visitor._http.stream("GET", "/live/tasks", headers=STREAM) as answer:
            coming = events(answer)
            next(coming)
            service.process.send_signal(signal.SIGTERM)
            for _ in coming:
                pass
        assert service.process.wait(60) in (0, -signal.SIGTERM)


class Looks:
    """Counts them; each shows its number."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self) -> Picture:
        self.made += 1
        await asyncio.sleep(0)
        if self.fails:
            raise Unavailable("The ledger does not answer.")
        return Picture({"count": str(self.made)})


@pytest.mark.anyio
async def test_fifty_viewers_cost_one_look() -> None:
    """All see the same, and the next look is one again."""
    live, looks = Live(), Looks()
    for expected in (1, 2):
        channels = [live.channel(("page", 1), looks) for _ in range(50)]
        pictures = await asyncio.gather(*(channel.picture() for channel in channels))
        assert looks.made == expected
        assert {picture.regions["count"] for picture in pictures} == {str(expected)}
        await asyncio.sleep(channels[0].seconds_to_next)
    assert await live.channel(("page", 2), looks).picture() != pictures[0]


@pytest.mark.anyio
async def test_a_ledger_that_is_away_leaves_the_last_picture() -> None:
    """With the trouble told once, and word when it is over; other errors are faults and end the stream."""
    looks = Looks()
    channel = Channel(looks)
    first = await channel.picture()
    looks.fails = True
    await asyncio.sleep(channel.seconds_to_next)
    second = await channel.picture()
    assert second.regions == first.regions and "does not answer" in second.trouble
    assert [TROUBLE.encode() in event for event in _news(first, second)] == [True]
    looks.fails = False
    await asyncio.sleep(channel.seconds_to_next)
    third = await channel.picture()
    assert [WELL.encode() in event for event in _news(second, third)] == [False, True]


@pytest.mark.anyio
async def test_channels_that_nobody_asks_for_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looking at many tasks leaves nothing behind."""
    monkeypatch.setattr("app.web.live.KEEP_SECONDS", -1.0)
    live, looks = Live(), Looks()
    for page in range(100):
        live.channel(("page", page), looks)
    assert len(live._channels) == 1


def test_the_markup_of_an_event_survives_its_lines() -> None:
    """Line ends are the only thing that the form of a stream touches."""
    html = "<p>one\n\n  two</p>\n<b>three</b>"
    (event,) = _news(Picture(), Picture({"part": html}))
    lines = event.decode().splitlines()
    data = [line.removeprefix("data:").removeprefix(" ") for line in lines if line.startswith("data:")]
    assert "\n".join(data) == html
