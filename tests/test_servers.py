"""The servers that other tests talk to: they answer, keep what they were given, and end with the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
import redis

from tests.servers import postgres
from tests.servers import redis as redis_servers
from tests.servers.postgres import PostgresServer
from tests.servers.process import Server
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parent.parent

LEFT_BEHIND = """
import os, signal, sys
from pathlib import Path
from tests.servers import {kind}
with {kind}.running({folder}) as server:
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_servers.running(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    with postgres.running() as server:
        yield server


def value_in(server: RedisServer) -> str | None:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        value: str | None = client.get("key")
        return value


def rows_in(server: PostgresServer) -> list[tuple[int]]:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT * FROM kept").fetchall()


@pytest.mark.parametrize("end", [RedisServer.kill, RedisServer.stop])
def test_redis_keeps_what_it_answered(own_redis: RedisServer, end: Callable[[RedisServer], None]) -> None:
    """Killed or stopped right after an answered write, and started again at the same address."""
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("key", "kept")
    end(own_redis)
    with pytest.raises(redis.ConnectionError):
        value_in(own_redis)
    own_redis.start()
    assert value_in(own_redis) == "kept"
    own_redis.flush()
    assert value_in(own_redis) is None


def test_postgres_keeps_what_it_committed(own_postgres: PostgresServer) -> None:
    """Killed with an open connection, and stopped with one, and started again at the same address."""
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    for number, end in enumerate([own_postgres.kill, own_postgres.stop, own_postgres.kill]):
        connection = psycopg.connect(own_postgres.url)
        connection.execute("INSERT INTO kept VALUES (%s)", [number])
        connection.commit()
        connection.execute("INSERT INTO kept VALUES (1000)")
        end()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            rows_in(own_postgres)
        own_postgres.start()
    assert rows_in(own_postgres) == [(0,), (1,), (2,)]


def test_postgres_gives_each_its_own_database(postgres_server: PostgresServer) -> None:
    """What one database holds, another does not."""
    first, second = postgres_server.new_database(), postgres_server.new_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    with psycopg.connect(second) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM kept")


@pytest.mark.parametrize(("kind", "folder"), [("redis", "Path(sys.argv[1])"), ("postgres", "")])
def test_no_server_outlives_killed_tests(kind: str, folder: str, tmp_path: Path) -> None:
    """Whoever runs the tests is killed without a chance to clean up; its server ends by itself."""
    command: list[str | Path] = [sys.executable, "-c", LEFT_BEHIND.format(kind=kind, folder=folder), tmp_path]
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:
        Path(home).chmod(0o711)
        environment = os.environ | {"TMPDIR": home}
        killed = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        assert_gone_soon(killed)


def assert_gone_soon(killed: subprocess.CompletedProcess[str]) -> None:
    assert killed.returncode == -9, killed.stderr
    try:
        left = psutil.Process(int(killed.stdout))
    except psutil.NoSuchProcess:
        return
    if left.status() != psutil.STATUS_ZOMBIE:
        left.wait(30)


def test_a_server_that_cannot_start_says_why(own_redis: RedisServer, tmp_path: Path) -> None:
    """The last words of the program are in the error, and nothing of it is left."""
    second = Server([redis_servers.program(), "--port", "no"], tmp_path / "second.log", lambda: False)
    with pytest.raises(RuntimeError, match="FATAL CONFIG FILE ERROR"):
        second.start()
    with pytest.raises(RuntimeError, match="was not started"):
        second.pid  # noqa: B018
    with pytest.raises(RuntimeError, match="runs already"):
        own_redis.start()
