"""docs/deployment.md is true: it has every setting with its default, and its blocks can be read as `.env`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.config import Settings, is_setting
from tests.http_service import ROOT

PAGE = (ROOT / "docs/deployment.md").read_text()
TABLE = PAGE[PAGE.index("## Every setting") :]
DESCRIBED = {
    "data_dir",
    "session_secret",
    "ledger_url",
    "broker_url",
    "vector_store_url",
    "file_store_url",
    "use_local_files",
}
"""Settings of which the table tells the default in words, as the cores do for MAX_WORKERS."""


def named_in_the_table() -> set[str]:
    return set(re.findall(r"`([A-Z][A-Z0-9_]+)`", TABLE))


def read_by_the_code() -> set[str]:
    """The fields of the settings, and the names that the machine's parts ask for themselves."""
    sources = [file.read_text() for room in ("app", "rowvec") for file in (ROOT / room).rglob("*.py")]
    asked = {name for text in sources for name in re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', text)}
    return {name for name in asked if is_setting(name)} | {name.upper() for name in Settings.model_fields}


def test_the_table_has_every_setting_and_no_other() -> None:
    """A setting that the code reads and the page does not name fails, and the other way round."""
    levels = {"DEBUG", "INFO", "WARNING", "ERROR"}
    words = named_in_the_table() - levels - {"INDEX", "TABLE"}
    assert words == read_by_the_code()


def test_the_example_has_every_setting_but_those_of_aws() -> None:
    """`.env.example` names them, too; AWS's own are documented by AWS."""
    example = set(dotenv_values(ROOT / ".env.example"))
    assert {name for name in read_by_the_code() - example if not name.startswith("AWS_")} == set()


def test_the_defaults_of_the_table_are_those_of_the_code() -> None:
    """As far as they are plain values."""
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]*?)`? \|", TABLE, re.MULTILINE))
    plain = {
        name: str(field.default)
        for name, field in Settings.model_fields.items()
        if name not in DESCRIBED and field.default not in ("", ()) and field.default_factory is None
    }
    assert {name: rows[name.upper()] for name in plain} == plain


@pytest.mark.parametrize("size", ["one", "many"])
def test_the_blocks_can_be_read(size: str, tmp_path: Path) -> None:
    """Copied as they stand: only settings that there are, with values that they can have."""
    (tmp_path / ".env").write_text(block(f"env: {size}"))
    given = dotenv_values(tmp_path / ".env")
    assert set(given) <= read_by_the_code()
    assert Settings(_env_file=tmp_path / ".env").broker_url == given["BROKER_URL"]


def block(mark: str) -> str:
    """The block below `<!-- mark -->` on the page."""
    (found,) = re.findall(rf"<!-- {mark} -->\n```\n(.*?)```", PAGE, re.S)
    return str(found)
