"""The worker is killed while it exports a question, with a part of the table on the disk already."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from tests.acceptance.service import Service
from tests.servers.metabase import Metabase

PATIENCE = 90.0
ROWS = 2_500


def question() -> str:
    """About 10 MB in few rows."""
    return "id,title,filler\n" + "".join(
        f'{n},"title {n}, quoted",{hashlib.sha256(str(n).encode()).hexdigest() * 64}\n' for n in range(ROWS)
    )


def wait_for_a_part(folder: Path) -> None:
    """Until a part of an export is on the disk, without a name yet."""
    deadline = time.monotonic() + PATIENCE
    while not any(path.stat().st_size for path in folder.glob("*")):
        if time.monotonic() > deadline:
            raise TimeoutError("no part of the export was written")
        time.sleep(0.05)


def test_a_killed_export_is_made_anew_and_nothing_of_the_broken_one_is_used(
    tmp_path: Path, metabase: Metabase
) -> None:
    """SIGKILL in the middle of the table: the next worker asks again, and every row lands once."""
    metabase.set(gzip=False)
    metabase.ask(42, question())
    metabase.suffer("slow", after=6_000_000, seconds=600)
    with Service(tmp_path, **metabase.settings) as service:
        service.start()
        service.wait_alive()
        task_id = service.submit(
            data_source="metabase",
            question_id=42,
            id_column="id",
            text_columns=["title"],
            metadata_columns=[],
        )
        wait_for_a_part(service.data / "files" / "~unfinished")
        midway = service.status(task_id)
        service.worker().kill()
        status = service.end_of(task_id, PATIENCE)
        verified = service.http.post(f"/api/v1/tasks/{task_id}/verify").json()

    assert (midway["stage"], midway["analysis"]["bytes"]) == ("planning", None)
    assert (status["status"], status["error"]) == ("completed", None)
    assert status["conservation"]["upserted"] == status["conservation"]["read"] == ROWS
    assert (verified["ok"], verified["found"]) == (True, ROWS)
    assert metabase.counters == {"card": 1, "export": 2, "exported": 1}
