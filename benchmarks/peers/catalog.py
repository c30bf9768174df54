"""The other ways: what each is, what it needs, and the virtual environment that is made for it alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("PEER_VENVS", HERE.parents[1] / ".peer-venvs"))
PATIENCE_SECONDS = 900


class NotInstalled(Exception):
    """A peer cannot be measured on this machine; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`rows` take it some fifteen seconds or more without latency: its rows/s come from them."""

    name: str
    title: str
    program: str
    rows: int

    @property
    def requirements(self) -> Path:
        return HERE / f"requirements-{self.name}.txt"

    @property
    def venv(self) -> Path:
        """Its place tells what is in it: other requirements are another place."""
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()[:12]
        version = "{}.{}".format(*sys.version_info)
        return CACHE / f"{self.name}-{version}-{digest}"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def installed(self) -> bool:
        return (self.venv / "complete").exists()

    def command(self, table: Path) -> list[str]:
        return [str(self.python), str(HERE / "programs" / self.program), str(table)]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("script", "the plain script", "plain_script.py", 20_000),
        Peer("langchain", "LangChain’s indexing", "langchain_index.py", 2_000),
        Peer("llamaindex", "LlamaIndex’s pipeline", "llamaindex_pipeline.py", 10_000),
    )
}
BY_DEFAULT = "script"


def wanted() -> list[str]:
    """Those that are measured unless told otherwise: the plain script, and whatever is installed."""
    return [peer.name for peer in PEERS.values() if peer.name == BY_DEFAULT or peer.installed]


def ready(names: Iterable[str]) -> Iterator[Peer]:
    """These peers, installed; of one that cannot be, standard error tells why, and it is left out."""
    for name in names:
        try:
            install(PEERS[name])
        except NotInstalled as error:
            print(error, file=sys.stderr)
        else:
            yield PEERS[name]


def install(peer: Peer) -> None:
    """Make its virtual environment, if there is none. Raises NotInstalled with pip's own words."""
    if peer.installed:
        return
    print(f"installing {peer.title} into {peer.venv}", file=sys.stderr)
    _told(peer, [sys.executable, "-m", "venv", "--clear", str(peer.venv)])
    _told(
        peer,
        [str(peer.python), "-m", "pip", "install", "--quiet", "--retries", "1", "-r", str(peer.requirements)],
    )
    (peer.venv / "complete").touch()


def _told(peer: Peer, command: list[str]) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{peer.title} is not measured, for it cannot be installed: {error}") from error
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().rpartition("\n")[2]
        raise NotInstalled(f"{peer.title} is not measured, for it cannot be installed: {last}")
