"""The commands of the pages that only look are run as they are written, beside a service that works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.service import PASSED_ON, ROOT, Service
from tests.test_documented_commands import commands

LOOKS = (
    "doctor", "estimate", "keys list", "limits", "preview", "prune --days 90 --dry-run", "rejected", "search",
    "status", "tasks", "verify",
)  # fmt: skip
LOOKING = sorted({line.partition("#")[0].strip() for _, line in commands() if line.startswith(LOOKS)})
TABLE = "id,title,body\n1,Lamp,for the desk\n2,Chair,for the hall\n3\n"
REJECTED = 3
"""The exit code that says that rows were left out."""


@dataclass(frozen=True)
class Desk:
    """Where an operator sits: the service's settings, and a task of which a row was rejected."""

    service: Service
    folder: Path
    task_id: str

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        settings = {"DATA_DIR": str(self.service.data), "EMBEDDER": "memory", "MIN_FREE_BYTES": "0"}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"./vectordb {line}"],
            cwd=self.folder, env=passed | settings, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "vectordb").symlink_to(ROOT / "vectordb")
    shutil.copytree(ROOT / "test_data", folder / "test_data")
    (folder / "table.csv").write_text(TABLE)
    with Service(folder / "service", EMBEDDER="memory", MIN_FREE_BYTES="0", REJECTED_SHARE="1") as service:
        service.start()
        service.wait_alive()
        task_id = service.submit(
            data_source="upload", file_id=service.upload(TABLE.encode()), id_column="id", namespace="shop"
        )
        assert service.end_of(task_id, 60)["status"] == "completed"
        yield Desk(service, folder, task_id)


@pytest.mark.parametrize("line", LOOKING)
def test_a_look_of_the_pages_succeeds(desk: Desk, line: str) -> None:
    """With the task and the table in place of the words that stand for any."""
    words = {"ID": desk.task_id, "FILE": "table.csv", "python-stdlib": "shop"}
    done = desk.run(" ".join(words.get(word, word) for word in line.split()))
    assert done.returncode in (0, REJECTED), (done.stdout, done.stderr)
    assert done.returncode == 0 or line.startswith(("status", "preview", "rejected"))
    assert "error" not in done.stderr.lower()


def test_the_rejected_row_is_in_the_table_to_repair(desk: Desk) -> None:
    """So the looks above had something to see."""
    told = json.loads(desk.run(f"status {desk.task_id} --json").stdout)
    assert (told["conservation"]["upserted"], told["conservation"]["rejected"]) == (2, 1)
    desk.run(f"rejected {desk.task_id} --repair > repair.csv")
    assert (desk.folder / "repair.csv").read_text().count("\n") == 2
