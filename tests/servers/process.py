"""A server program in a process of its own, to be killed and started again; it never outlives the tests."""

from __future__ import annotations

import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from tests.servers.place import HERE, Place

START_SECONDS = 60.0
STOP_SECONDS = 30.0

# The kernel ends a server when the thread that started it ends. This one ends with the tests' process,
# however that ends; a test's own threads may end before.
_STARTER = ThreadPoolExecutor(1, "server-starter")


class Server:
    """One command, run again and again over the same folder and port.

    `answers` asks the server; it raises OSError or returns False as long as there is no answer.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        answers: Callable[[], bool],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        place: Place = HERE,
    ) -> None:
        self._command = place.command(log.parent, *_with_the_tests(user), *command)
        self._log = log
        self._answers = answers
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the server was not started, or was stopped")
        return self._process

    @property
    def pid(self) -> int:
        """Raises RuntimeError when it does not run."""
        return self.process.pid

    def start(self) -> None:
        """Returns once it answers. Raises with its last words when it dies, or takes too long."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        self._process = _STARTER.submit(self._spawn).result()
        deadline = time.monotonic() + START_SECONDS
        while not self._is_there():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command} does not answer:\n{self.log_end()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask it to end and wait; kills it when that takes too long."""
        if self._process is None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL to it and to all that it started; returns when they are gone."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)
        family = _family(self._process.pid)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while any(_alive(member) for member in family) and time.monotonic() < deadline:
            time.sleep(0.005)
        self._process = None

    def restart(self) -> None:
        """Stop it and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def log_end(self, characters: int = 4000) -> str:
        """The last words of the server."""
        return self._log.read_text(errors="replace")[-characters:] if self._log.exists() else ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_there(self) -> bool:
        try:
            return self._answers()
        except OSError:
            return False


def as_user(user: str | None) -> list[str]:
    """What goes before a command so that it runs as that user; None: as whoever runs the tests."""
    if user is None:
        return []
    known = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={known.pw_uid}", f"--regid={known.pw_gid}", "--clear-groups", "--"]


def _with_the_tests(user: str | None) -> list[str]:
    """And so that it ends with the thread that started it: a change of user would forget an earlier wish."""
    return [*as_user(user), "setpriv", "--pdeathsig=KILL", "--"]


def _alive(process: psutil.Process) -> bool:
    """A zombie holds nothing any more; whoever inherited it may take its time."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    try:
        server = psutil.Process(pid)
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
