"""setup_ec2.sh and health_check.sh, run for real in a folder that stands for /."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infrastructure.ground import DOMAIN, Ground, ground


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as it:
        yield it


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


def test_a_service_that_is_away_is_not_healthy(place: Ground) -> None:
    """1, and what was answered."""
    away = place.run("scripts/health_check.sh", "--url", "http://127.0.0.1:1")
    assert (away.returncode, away.stdout) == (1, "")
    assert "not healthy: http://127.0.0.1:1/api/v1/health says: curl" in away.stderr
