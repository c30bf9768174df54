"""Who takes part: ours in both forms, and the peers that can be had, in the order of their turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers import ours, program
from benchmarks.peers.attempt import Way
from benchmarks.peers.catalog import PEERS, Peer, ready

EMBEDDED, CELERY = "embedded", "celery"
TITLES = {
    EMBEDDED: "ours, embedded",
    CELERY: "ours, Celery",
    **{peer.name: peer.title for peer in PEERS.values()},
}
OURS = (EMBEDDED, CELERY)


def unmeasured(name: str) -> str:
    """What stands in a table in place of how it ended."""
    return "not measured" if name in OURS else "not measured; `make bench-peers` installs it"


@dataclass(frozen=True, slots=True)
class Entrant:
    """`peer` is None for ours."""

    name: str
    way: Way
    peer: Peer | None = None


def lineup(forms: Iterable[str], peers: Iterable[str], processes: int = 1) -> list[Entrant]:
    """These forms of ours first, Celery with so many processes; a peer that cannot be installed is left out,
    and standard error says why."""
    ways = {EMBEDDED: ours.embedded, CELERY: ours.celery(processes)}
    return [Entrant(name, ways[name]) for name in forms] + [
        Entrant(peer.name, program.by(peer), peer) for peer in ready(peers)
    ]
