"""The service answers as its description says, also to what nobody thought of; `make fuzz` asks longer."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.run import fuzz

EXAMPLES = 4


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """A few examples of each route, and of chains of them; what it finds it says in its own words."""
    report = fuzz(tmp_path, "production", EXAMPLES, phases="fuzzing,stateful")

    assert report.clean, report.said
