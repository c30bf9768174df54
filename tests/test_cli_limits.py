"""`limits`, `pause-provider`, `resume-provider` on a data folder of their own."""

from __future__ import annotations

from app.cli.exits import Exit
from tests.test_cli import Inside
from tests.test_cli import cli as cli


def test_pause_is_shown_until_resumed(cli: Inside) -> None:
    """In words with the reason, and how to go on; in JSON with the fields of the API."""
    assert cli.json("limits")["providers"][1]["paused"] is None
    paused = cli("pause-provider", "embedder", "--reason", "new contract")
    assert paused.returncode == Exit.DONE and "(new contract)" in paused.stdout
    assert "resume-provider embedder" in paused.stderr
    assert "(new contract)" in cli("limits").stdout
    assert cli.json("resume-provider", "embedder") == {"provider": "embedder", "paused": None}
    view = cli.json("limits")
    assert [one["paused"] for one in view["providers"]] == [None, None]
    assert (view["workers_alive"], view["workers"]) == (0, [])


def test_a_provider_that_is_none(cli: Inside) -> None:
    """A wrong name is a wrong use, and says which there are."""
    refused = cli("pause-provider", "openai")
    assert refused.returncode == Exit.USAGE
    assert "embedder and vector_store" in refused.stderr
