"""deploy.sh, run for real in a folder that stands for /: one release takes another's place, or does not."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.http_service import follow
from tests.infrastructure.ground import Ground, ground
from tests.infrastructure.proxy import proxy

KEY = secrets.token_hex(32)
PAUSE = 0.1
"""Seconds between two rounds of a load: nginx holds back who asks more than fifty times a second."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Set up and configured, its first release runs; the tables lie outside of the releases."""
    with ground(tmp_path_factory.mktemp("ground")) as it:
        assert it.setup().returncode == 0
        tables = it.root / "srv/tables"
        shutil.copytree(it.checkout / "test_data/csv_files", tables)
        it.settings(API_KEYS=KEY, LOCAL_FILES_DIR=str(tables))
        first = it.deploy("--name", "first")
        assert first.returncode == 0, first.stderr
        yield it


@pytest.fixture
def deployed(place: Ground) -> Iterator[Ground]:
    """A release runs; what a test does to the checkout and to the patience of the scripts ends with it."""
    main = place.checkout / "app/main.py"
    code, patience, processes = main.read_text(), place.patience, place.processes
    yield place
    main.write_text(code)
    place.patience, place.processes = patience, processes


def test_the_first_release_runs(deployed: Ground) -> None:
    """With the settings of the machine; the same one again is refused."""
    assert deployed.running == "first"
    with httpx2.Client(base_url=deployed.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        assert client.get("/api/v1/tasks").json()["tasks"] == []
    assert "runs already" in deployed.deploy("--name", "first").stderr


def test_a_release_that_cannot_start_changes_nothing(deployed: Ground) -> None:
    """It is looked at beside the one that runs, and goes; systemctl is not asked."""
    before, asked = deployed.running, deployed.asked
    with (deployed.checkout / "app/main.py").open("a") as code:
        code.write("\nraise RuntimeError('this release is broken')\n")
    done = deployed.deploy("--name", "broken")
    assert done.returncode == 1 and f"{before} still runs, untouched" in done.stderr
    assert "this release is broken" in (deployed.root / "opt/vectordb/releases/.check.log").read_text()
    assert (deployed.running, deployed.asked) == (before, asked)
    assert not (deployed.root / "opt/vectordb/releases/broken").exists()


def test_a_release_that_is_not_well_in_its_place_is_taken_back(deployed: Ground) -> None:
    """Well beside the other, not with the credentials of its place: the one before runs again by itself."""
    before, main = deployed.running, deployed.checkout / "app/main.py"
    deployed.patience = 5
    in_place = "'/etc/' in os.environ['CREDENTIALS_DIRECTORY']"
    main.write_text(f"{main.read_text()}\nimport os\n\nif {in_place}:\n    raise RuntimeError\n")
    done = deployed.deploy("--name", "unwell")
    assert done.returncode == 1 and f"{before} runs again" in done.stderr, done.stdout + done.stderr
    assert deployed.running == before
    assert httpx2.get(f"{deployed.url}/readyz", timeout=60).status_code == 200


def test_the_release_before_comes_back_by_hand(deployed: Ground) -> None:
    """`--back` exchanges the two, and again."""
    before = deployed.running
    for options, running in ((("--name", "next"), "next"), (("--back",), before), (("--back",), "next")):
        assert deployed.deploy(*options).returncode == 0
        assert deployed.running == running


class Load:
    """Submits a table, and looks at it, again and again; remembers what was accepted and what went wrong."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.tasks: list[str] = []
        self.answers = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._enough.wait(PAUSE):
            name = f"run{len(self.tasks)}"
            body = {"data_source": "s3_csv", "s3_key": "sample.csv", "namespace": name}
            try:
                sent = self._client.post("/api/v1/process", json=body)
                self._note(sent, 202)
                if sent.status_code == 202:
                    self.tasks.append(sent.json()["task_id"])
                    self._note(self._client.get(sent.headers["location"]), 200)
            except httpx2.HTTPError as error:
                self.wrong.append(repr(error))

    def _note(self, answer: httpx2.Response, wanted: int) -> None:
        self.answers += 1
        if answer.status_code != wanted:
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")


def test_a_deploy_under_load_loses_nothing(deployed: Ground, tmp_path: Path) -> None:
    """Every request is answered as ever, through nginx, and every row of every task arrives."""
    deployed.processes = 4
    with proxy(deployed.url, tmp_path / "nginx") as nginx, nginx.client(key=KEY) as client:
        client.timeout = httpx2.Timeout(60)
        with Load(client) as load:
            while len(load.tasks) < 3:
                assert not load.wrong, load.wrong
            before = load.answers
            done = deployed.deploy("--name", "under-load")
            assert done.returncode == 0, done.stdout + done.stderr
        assert deployed.running == "under-load"
        assert load.wrong == []
        assert load.answers > before
    # Past nginx, which would hold back so many questions of one key.
    with httpx2.Client(base_url=deployed.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        for task in load.tasks:
            assert follow(client, task)[-1] == "end"
            progress = client.get(f"/api/v1/status/{task}").json()
            assert (progress["status"], progress["progress"]["processed_records"]) == ("completed", 10), (
                progress
            )


def test_health_of_a_release_is_told_in_one_line(deployed: Ground) -> None:
    """0, and 1 where another version should answer."""
    well = deployed.run(
        "scripts/health_check.sh", "--url", deployed.url, "--wait", "30", "--version", "1.0.0"
    )
    assert (well.returncode, well.stdout) == (0, f"healthy: {deployed.url}\n"), well.stderr
    other = deployed.run("scripts/health_check.sh", "--url", deployed.url, "--version", "2.0.0")
    assert other.returncode == 1
