"""A real PostgreSQL over a cluster of its own, to be killed and started again."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.servers.place import HERE, Place
from tests.servers.ports import free_port
from tests.servers.process import Server, as_user

USER, PASSWORD = "ledger", "correct-horse-battery"
DEBIAN = Path("/usr/lib/postgresql")
QUICK = {"fsync": "off", "full_page_writes": "off"}
"""A killed process loses nothing without them; only a machine without power would."""


class PostgresServer(Server):
    """`url` leads to an empty database, also after a restart."""

    def __init__(self, folder: Path, place: Place = HERE, /, **settings: str) -> None:
        self.port = free_port()
        self.url = f"postgresql://{USER}:{PASSWORD}@{place.address}:{self.port}/postgres"
        self._data = folder / "data"
        self._user = unprivileged_user()
        settings = {
            "port": str(self.port), "listen_addresses": place.address, "unix_socket_directories": "",
            "shared_buffers": "64MB", "max_connections": "200", **settings,
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [programs() / "postgres", "-D", self._data, *options]
        super().__init__(command, folder / "postgres.log", self._selects, self._user, signal.SIGINT, place)

    def make_cluster(self) -> None:
        """The data folder, whose only user is USER."""
        folder = self._data.parent
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (folder, secret):
                shutil.chown(path, self._user)
        command: list[str | Path] = [
            *as_user(self._user), programs() / "initdb", "--pgdata", self._data, "--no-sync",
            "--username", USER, "--pwfile", secret, "--auth", "scram-sha-256",
            "--encoding", "UTF8", "--locale", "C",
        ]  # fmt: skip
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(f"initdb made no cluster:\n{made.stderr}")
        with (self._data / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet scram-sha-256\n")

    def new_schema(self) -> str:
        """The address of an empty schema, which is cheaper than a database, that nobody else uses."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"{self.url}?options=-csearch_path%3D{name}"

    def new_database(self) -> str:
        """The address of an empty database that nobody else uses."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url.removesuffix("/postgres") + f"/{name}"

    def _selects(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def programs() -> Path:
    """The folder of the newest PostgreSQL of the machine. Raises with the remedy."""
    home = Path(os.environ.get("POSTGRESQL_HOME", DEBIAN))
    versions = [path for path in home.glob("*/bin") if (path / "postgres").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("postgres")
    if found is None:
        raise RuntimeError("The tests need a PostgreSQL server. Install it: apt-get install postgresql")
    return Path(found).parent


def unprivileged_user() -> str | None:
    """Who runs it: PostgreSQL refuses root. None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def running(place: Place = HERE, /, **settings: str) -> Iterator[PostgresServer]:
    """A server until the block ends, in a folder that its user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), place, **(QUICK | settings))
        server.make_cluster()
        try:
            server.start()
            yield server
        finally:
            server.kill()


@cache
def shared() -> PostgresServer:
    """The one of this run of the tests, for what cannot ask for a fixture. Ends with it."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    return until_the_end.enter_context(running())


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """Started by the first test that asks for it. A test that kills one runs one of its own."""
    return shared()
