"""All that is measured, in this order: what a user asks first. A new section is a file and a line here."""

from __future__ import annotations

from benchmarks import budget, clients, dashboards, embedded, large_file, listing, overhead, planning, through
from benchmarks.peers import killed, limited, speed
from benchmarks.section import AnySection

SECTIONS: tuple[AnySection, ...] = (
    through.SECTION,
    speed.SECTION,
    limited.SECTION,
    killed.SECTION,
    budget.SECTION,
    clients.SECTION,
    listing.SECTION,
    dashboards.SECTION,
    planning.SECTION,
    overhead.SECTION,
    embedded.SECTION,
    large_file.SECTION,
)
