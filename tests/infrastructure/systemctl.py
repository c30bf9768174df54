"""Stands in for systemctl: starts and stops what the units say, below the folder that stands for /.

It hands the service the socket that the tests hold, as systemd hands on that of its socket unit. It knows no
more than the deployed scripts ask for, and ends with an error where they ask for anything else.
"""

from __future__ import annotations

import configparser
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FIRST_PASSED = 3
"""Where sd_listen_fds(3) lets descriptors begin."""


def main(arguments: list[str]) -> int:
    root = Path(os.environ["STANDS_FOR_ROOT"])
    with (root / "asked").open("a") as asked:
        asked.write(" ".join(arguments) + "\n")
    match arguments:
        case ["daemon-reload"] | ["reload-or-restart", "nginx"] | ["enable", "--quiet", *_]:
            return 0
        case ["restart", name] if (unit := root / "etc/systemd/system" / name).is_file():
            stop(root / f"{name}.pid", unit)
            start(root, root / f"{name}.pid", unit)
            return 0
        case ["stop", name]:
            stop(root / f"{name}.pid", root / "etc/systemd/system" / name)
            return 0
    sys.stderr.write(f"systemctl {arguments}: not known here\n")
    return 1


def service(unit: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(unit)
    return parser["Service"]


def start(root: Path, pid_file: Path, unit: Path) -> None:
    """In a session of its own, with the environment of the unit and no more."""
    says = service(unit)
    given = dict(pair.split("=", 1) for pair in says["Environment"].split())
    given = {name: value.replace("/var/lib", f"{root}/var/lib") for name, value in given.items()}
    name, place = says["LoadCredential"].split(":")
    given |= {"CREDENTIALS_DIRECTORY": f"{root}{place}", "PATH": "/usr/bin:/bin", "LISTEN_FDS": "1"}
    begin = says["ExecStart"].replace("/opt/", f"{root}/opt/", 1)
    begin = begin.replace(" -w 4 ", f" -w {os.environ['API_PROCESSES']} ")
    command = f"LISTEN_PID=$$ exec {begin}"
    assert name == "vectordb"
    held = int(os.environ["HELD_SOCKET"])
    os.dup2(held, FIRST_PASSED, inheritable=True)
    with (root / f"{unit.name}.log").open("ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=f"{root}{says['WorkingDirectory']}", env=given,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=(FIRST_PASSED,), start_new_session=True,
        )  # fmt: skip
    pid_file.write_text(str(process.pid))


def stop(pid_file: Path, unit: Path) -> None:
    """KillMode=mixed: SIGTERM to the first process, and after TimeoutStopSec SIGKILL to all that is left."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    pid_file.unlink()
    if not gone(pid):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + float(service(unit)["TimeoutStopSec"])
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def gone(pid: int) -> bool:
    """A zombie is gone: nobody here waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except FileNotFoundError:
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
