"""A folder that stands for /, a checkout to deploy from, and the scripts that run for real between them."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.http_service import ROOT, free_port

DEPLOYED = (
    "app", "rowvec", "scripts", "docs", "infrastructure", "test_data",
    "vectordb", ".env.example", "gunicorn.conf.py", "requirements.txt", "LICENSE",
)  # fmt: skip
DOMAIN = "vectordb.example.com"


@dataclass
class Ground:
    root: Path
    checkout: Path
    listener: socket.socket
    check_port: int = field(default_factory=free_port)
    patience: int = 120
    """Seconds that a release has to become well in its place."""
    processes: int = 1
    """How many of its API run then, instead of the four of the unit."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def running(self) -> str:
        """The release that `current` leads to."""
        return (self.root / "opt/vectordb/current").readlink().name

    @property
    def asked(self) -> list[str]:
        """What systemctl was asked."""
        return (self.root / "asked").read_text().splitlines()

    def setup(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("scripts/setup_ec2.sh", "--domain", DOMAIN, "--no-packages", *options)

    def deploy(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("scripts/deploy.sh", *options)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        held = self.listener.fileno()
        environment = {
            "PATH": f"{self.root}/stubs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.root), "LANG": "C.UTF-8", "PYTHON": sys.executable,
            "ROOT": str(self.root), "URL": self.url, "CHECK_PORT": str(self.check_port),
            "WAIT": str(self.patience),
            "STANDS_FOR_ROOT": str(self.root), "HELD_SOCKET": str(held),
            "API_PROCESSES": str(self.processes),
        }  # fmt: skip
        return subprocess.run(
            command, cwd=self.checkout, env=environment, pass_fds=(held,),
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    def settings(self, **values: str) -> None:
        """Into the file that the operator fills in."""
        with (self.root / "etc/vectordb/vectordb.env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())

    def tree(self) -> dict[str, tuple[int, int, str]]:
        """Every path below, with its mode, owner and content."""
        return {
            str(path.relative_to(self.root)): (
                path.lstat().st_mode,
                path.lstat().st_uid,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in self.root.rglob("*")
            if path.name != "asked"
        }


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    root, checkout = folder / "root", folder / "checkout"
    (root / "stubs").mkdir(parents=True)
    stub = root / "stubs/systemctl"
    stub.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("systemctl.py")}" "$@"\n')
    stub.chmod(0o755)
    checkout.mkdir()
    for name in DEPLOYED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, checkout / name)
    share_environment(root)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        it = Ground(root, checkout, listener)
        try:
            yield it
        finally:
            it.run("systemctl", "stop", "vectordb-api.service")
            it.run("systemctl", "stop", "vectordb-worker.service")


def share_environment(root: Path) -> None:
    """The pins of this checkout are installed already: where deploy.sh looks for them, it finds them."""
    pins = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()[:16]
    (root / "opt/vectordb/venvs").mkdir(parents=True)
    (root / "opt/vectordb/venvs" / pins).symlink_to(Path(sys.prefix))
