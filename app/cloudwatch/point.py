"""A value of a metric, as CloudWatch takes it: the families of Prometheus under names of CloudWatch's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric

from app.families import PREFIX

UNITS = {
    "Seconds": "Seconds",
    "SecondsWithoutProgress": "Seconds",
    "SecondsPerThousandRows": "Seconds",
    "Bytes": "Bytes",
    "Ratio": "None",
    "Dollars": "None",
}
"""By how a name ends; all else is counted."""


@dataclass(frozen=True, slots=True)
class Point:
    """`value` is one, or all that were seen since the last time. `dimensions` are few, and none has many
    values: every combination is a metric that is paid for."""

    name: str
    value: float | Sequence[float]
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def unit(self) -> str:
        return next((unit for ending, unit in UNITS.items() if self.name.endswith(ending)), "Count")


def points_of(families: Iterable[Metric]) -> Iterator[Point]:
    for family in families:
        for sample in family.samples:
            yield Point(name_of(sample.name), sample.value, tuple(sample.labels.items()))


def name_of(name: str) -> str:
    """`vectordb_embed_requests_total` is `EmbedRequests`."""
    words = name.removeprefix(PREFIX).removesuffix("_total").split("_")
    return "".join(word.capitalize() for word in words)
