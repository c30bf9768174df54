"""Hosts on one machine: each has a network, a name and processes of its own, and a cable to one switch.

A host ends with everything in it when its first process does, and that ends with whoever started it, however
that ends: nothing of it outlives the tests.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psutil

from tests.servers.place import Place

NET = "198.18"
"""Set aside for trials of networks: nobody is reached there."""

_OWN = ("--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")
_BEGIN = 'hostname "$1" && ip link set lo up && echo begun && exec cat'
_NEEDED = (
    "The tests of a fleet make hosts out of network namespaces, which only root may (CAP_SYS_ADMIN and "
    "CAP_NET_ADMIN): run them as root of a machine or virtual machine, or in a container with --privileged. "
    "They need unshare and nsenter (apt-get install util-linux) and ip (apt-get install iproute2)."
)


class Host:
    """A machine of that name, without a network yet."""

    def __init__(self, name: str) -> None:
        """Raises RuntimeError with the remedy where it may not be made."""
        self.name = name
        try:
            self._first = subprocess.Popen(
                ["unshare", *_OWN, "sh", "-c", _BEGIN, "sh", name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise RuntimeError(f"{_NEEDED}\n{error}") from error
        said = self._first.stdout.readline() if self._first.stdout else ""
        if said != "begun\n":
            self._first.kill()
            self._first.communicate()
            raise RuntimeError(f"{_NEEDED}\nHere: {said.strip()}")
        (inside,) = psutil.Process(self._first.pid).children()
        self.pid = inside.pid

    def enter(self, *spaces: str) -> tuple[str, ...]:
        """What goes before a command that is to run in these spaces of the host."""
        return ("nsenter", f"--target={self.pid}", *(f"--{space}" for space in spaces), "--")

    def ip(self, *arguments: str) -> None:
        """`ip` with the network of the host and the files of the machine."""
        ip(*arguments, enter=self.enter("net"))

    def end(self) -> None:
        """All that runs there is killed; returns when it is gone. Harmless twice."""
        if self._first.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._first.communicate()


class Network:
    """A switch, on a host of its own so that no firewall of the machine looks into it."""

    def __init__(self) -> None:
        self._subnet = f"{NET}.{_free_subnet()}"
        self._switch = Host("switch")
        self._hosts: dict[str, Host] = {}
        self._numbers = count(1)
        self.address = self._new_address()
        self._switch.ip("link", "add", "switch", "type", "bridge")
        self._switch.ip("link", "set", "switch", "up")
        self._plug("machine", os.getpid(), f"fleet{self._switch.pid}", self.address, ())

    def add(self, name: str) -> Place:
        """A host that all others, and the machine of the tests at `address`, reach and are reached from."""
        host = self._hosts[name] = Host(name)
        address = self._new_address()
        self._plug(name, host.pid, "eth0", address, host.enter("net"))
        return Place(address, host.enter("net", "uts", "pid", "mount"))

    def unplug(self, name: str) -> None:
        """No word from or to that host any more, nor that it is so: connections stay as they are."""
        self._switch.ip("link", "set", name, "down")

    def plug(self, name: str) -> None:
        self._switch.ip("link", "set", name, "up")

    def close(self) -> None:
        """Harmless twice."""
        for host in (*self._hosts.values(), self._switch):
            host.end()

    def _new_address(self) -> str:
        return f"{self._subnet}.{next(self._numbers)}"

    def _plug(self, port: str, pid: int, name: str, address: str, enter: tuple[str, ...]) -> None:
        """A cable from a port of the switch to a card of that name."""
        self._switch.ip("link", "add", port, "type", "veth", "peer", "name", name, "netns", str(pid))
        self._switch.ip("link", "set", port, "master", "switch", "up")
        ip("address", "add", f"{address}/24", "dev", name, enter=enter)
        ip("link", "set", name, "up", enter=enter)


@contextmanager
def network() -> Iterator[Network]:
    """Until the end of the block; whatever runs on its hosts then is killed."""
    with closing(Network()) as made:
        yield made


def ip(*arguments: str, enter: tuple[str, ...] = ()) -> None:
    ran = subprocess.run([*enter, "ip", *arguments], capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{_NEEDED}\nHere: ip {' '.join(arguments)}: {ran.stderr.strip()}")


def _free_subnet() -> int:
    """One in which this machine has no address yet."""
    routes = Path("/proc/net/fib_trie").read_text()
    return random.choice([number for number in range(256) if f" {NET}.{number}." not in routes])
