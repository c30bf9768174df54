"""Settings that come as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings
from app.credentials import credentials


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that CREDENTIALS_DIRECTORY names, with nothing else set."""
    place = tmp_path / "credentials"
    place.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(place))
    for name in ("API_KEYS", "OPENAI_API_KEY", "LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    return place


def test_a_file_is_a_setting(folder: Path) -> None:
    """With systemd's prefix or without, for the doors and for the machine; the end of the line is no part."""
    (folder / "vectordb_ledger_url").write_text("postgresql://ledger.example/vectordb\n")
    (folder / "openai_api_key").write_text("sk-example\r\n")
    assert Settings().ledger_url == "postgresql://ledger.example/vectordb"
    assert Settings().for_machine()["OPENAI_API_KEY"] == "sk-example"


def test_its_value_is_a_secret(folder: Path) -> None:
    """Redaction knows what came as a file."""
    (folder / "openai_api_key").write_text("an example of a key")
    (folder / "api_keys").write_text("example-of-a-long-enough-key-0123456789")
    assert {"an example of a key", "example-of-a-long-enough-key-0123456789"} <= set(Settings().secrets)


def test_the_environment_goes_before_and_env_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is unset, as everywhere."""
    Path(".env").write_text("OPENAI_API_KEY=of-env\nLEDGER_URL=sqlite:///of-env.db\n")
    (folder / "openai_api_key").write_text("of-file")
    (folder / "ledger_url").write_text("sqlite:///of-file.db")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert Settings().for_machine()["OPENAI_API_KEY"] == "of-file"
    assert Settings().ledger_url == "sqlite:///of-file.db"
    monkeypatch.setenv("OPENAI_API_KEY", "of-environment")
    monkeypatch.setenv("LEDGER_URL", "sqlite:///of-environment.db")
    assert Settings().for_machine()["OPENAI_API_KEY"] == "of-environment"
    assert Settings().ledger_url == "sqlite:///of-environment.db"


def test_what_is_no_value_is_left_out(folder: Path) -> None:
    """Empty files, hidden ones and folders, as container engines leave them there."""
    (folder / "pinecone_api_key").touch()
    (folder / "..data").mkdir()
    (folder / ".hidden").write_text("x")
    assert credentials() == {}


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    """Rather than to start without the key."""
    (folder / "openai_api_key").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError):
        credentials()


def test_without_the_variable_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credentials() == {}
