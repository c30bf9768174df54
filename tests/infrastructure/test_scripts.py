"""setup_ec2.sh, deploy.sh and health_check.sh, run for real in a folder that stands for /."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.http_service import follow
from tests.infrastructure.ground import DOMAIN, Ground, ground
from tests.infrastructure.proxy import proxy

KEY = secrets.token_hex(32)
PAUSE = 0.1
"""Seconds between two rounds of a load: nginx holds back who asks more than fifty times a second."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as it:
        yield it


@pytest.fixture
def ready(place: Ground) -> Ground:
    """Set up and configured, with nothing deployed; its tables lie outside of the releases."""
    assert place.setup().returncode == 0
    tables = place.root / "srv/tables"
    shutil.copytree(place.checkout / "test_data/csv_files", tables)
    place.settings(API_KEYS=KEY, LOCAL_FILES_DIR=str(tables))
    return place


def test_setup_makes_everything_and_a_second_one_nothing(place: Ground) -> None:
    """User, folders, settings, units, nginx; what an operator wrote since then stays as it is."""
    first = place.setup()
    assert first.returncode == 0, first.stderr
    assert "vectordb:" in (place.root / "etc/passwd").read_text()
    assert DOMAIN in (place.root / "etc/nginx/conf.d/vectordb-api.conf").read_text()
    assert (place.root / "etc/vectordb/credentials").stat().st_mode & 0o777 == 0o700
    assert (place.root / "etc/vectordb/vectordb.env").stat().st_mode & 0o777 == 0o640
    place.settings(OPENAI_MODEL="mine")
    before = place.tree()
    again = place.setup()
    assert (again.returncode, place.tree()) == (0, before)


def test_setup_says_what_it_needs(place: Ground) -> None:
    without = place.run("scripts/setup_ec2.sh", "--no-packages")
    assert without.returncode == 1 and "--domain is missing" in without.stderr
    assert place.run("scripts/setup_ec2.sh", "--nonsense").returncode == 2


def test_the_first_release_runs(ready: Ground) -> None:
    """With the settings of the machine; the same one again is refused."""
    done = ready.deploy("--name", "one")
    assert done.returncode == 0, done.stderr
    assert ready.running == "one"
    with httpx2.Client(base_url=ready.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        assert client.get("/api/v1/tasks").json()["tasks"] == []
    assert "runs already" in ready.deploy("--name", "one").stderr


def test_a_release_that_cannot_start_changes_nothing(ready: Ground) -> None:
    """It is looked at beside the one that runs, and goes; systemctl is not asked."""
    assert ready.deploy("--name", "one").returncode == 0
    asked = ready.asked
    with (ready.checkout / "app/main.py").open("a") as code:
        code.write("\nraise RuntimeError('this release is broken')\n")
    done = ready.deploy("--name", "two")
    assert done.returncode == 1 and "one still runs, untouched" in done.stderr
    assert "this release is broken" in (ready.root / "opt/vectordb/releases/.check.log").read_text()
    assert (ready.running, ready.asked) == ("one", asked)
    assert not (ready.root / "opt/vectordb/releases/two").exists()


def test_a_release_that_is_not_well_in_its_place_is_taken_back(ready: Ground) -> None:
    """Well beside the other, not with the credentials of its place: the one before runs again by itself."""
    assert ready.deploy("--name", "one").returncode == 0
    main = ready.checkout / "app/main.py"
    ready.patience = 5
    in_place = "'/etc/' in os.environ['CREDENTIALS_DIRECTORY']"
    main.write_text(f"{main.read_text()}\nimport os\n\nif {in_place}:\n    raise RuntimeError\n")
    done = ready.deploy("--name", "two")
    assert done.returncode == 1 and "one runs again" in done.stderr, done.stdout + done.stderr
    assert ready.running == "one"
    assert httpx2.get(f"{ready.url}/readyz", timeout=60).status_code == 200


def test_the_release_before_comes_back_by_hand(ready: Ground) -> None:
    """`--back` exchanges the two, and again."""
    for name in ("one", "two"):
        assert ready.deploy("--name", name).returncode == 0
    assert ready.deploy("--back").returncode == 0
    assert ready.running == "one"
    assert ready.deploy("--back").returncode == 0
    assert ready.running == "two"


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


def test_a_deploy_under_load_loses_nothing(ready: Ground, tmp_path: Path) -> None:
    """Every request is answered as ever, through nginx, and every row of every task arrives."""
    assert ready.deploy("--name", "one").returncode == 0
    with proxy(ready.url, tmp_path / "nginx") as nginx, nginx.client(key=KEY) as client:
        client.timeout = httpx2.Timeout(60)
        with Load(client) as load:
            while len(load.tasks) < 3:
                assert not load.wrong, load.wrong
            before = load.answers
            done = ready.deploy("--name", "two")
            assert done.returncode == 0, done.stdout + done.stderr
        assert ready.running == "two"
        assert load.wrong == []
        assert load.answers > before
    # Past nginx, which would hold back so many questions of one key.
    with httpx2.Client(base_url=ready.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        for task in load.tasks:
            assert follow(client, task)[-1] == "end"
            progress = client.get(f"/api/v1/status/{task}").json()
            assert (progress["status"], progress["progress"]["processed_records"]) == ("completed", 10), (
                progress
            )


def test_health_is_told_in_one_line(ready: Ground) -> None:
    """0 and 1, and what was answered."""
    away = ready.run("scripts/health_check.sh", "--url", "http://127.0.0.1:1")
    assert (away.returncode, away.stdout) == (1, "")
    assert "not healthy: http://127.0.0.1:1/api/v1/health says: curl" in away.stderr
    assert ready.deploy("--name", "one").returncode == 0
    well = ready.run("scripts/health_check.sh", "--url", ready.url, "--wait", "30", "--version", "1.0.0")
    assert (well.returncode, well.stdout) == (0, f"healthy: {ready.url}\n"), well.stderr
    other = ready.run("scripts/health_check.sh", "--url", ready.url, "--version", "2.0.0")
    assert other.returncode == 1
