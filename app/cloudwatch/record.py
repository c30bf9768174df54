"""Points → lines of the embedded metric format.

AWS describes it in "Specification: Embedded metric format" of the CloudWatch user guide. The value of a
dimension stands beside the metrics, so that a record has one of each: points with other values of their
dimensions are in other records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from app.cloudwatch.point import Point

MOST_VALUES = 100
"""Of one metric in one record."""

MOST_METRICS = 20
"""In one record. CloudWatch takes 100; so few keep a line below the 4,096 bytes that a pipe takes in one."""

STANDARD_RESOLUTION = 60
"""Seconds."""


def lines(namespace: str, points: Iterable[Point], at: float) -> Iterator[str]:
    """Each one record, without its end of line; `at` is in seconds since the epoch.

    Raises ValueError for a value that is no number.
    """
    for dimensions, together in _by_dimensions(points).items():
        scalars = [point for point in together if isinstance(point.value, (int, float))]
        for some in _parts(scalars, MOST_METRICS):
            yield _line(namespace, dimensions, {p.name: (p.unit, p.value) for p in some}, at)
        for point in together:
            if not isinstance(point.value, (int, float)):
                for values in _parts(point.value, MOST_VALUES):
                    yield _line(namespace, dimensions, {point.name: (point.unit, values)}, at)


def _by_dimensions(points: Iterable[Point]) -> dict[tuple[tuple[str, str], ...], list[Point]]:
    groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
    for point in points:
        groups.setdefault(point.dimensions, []).append(point)
    return groups


def _parts(values: Sequence[Any], most: int) -> Iterator[list[Any]]:
    left = iter(values)
    while part := list(islice(left, most)):
        yield part


def _line(
    namespace: str,
    dimensions: tuple[tuple[str, str], ...],
    metrics: dict[str, tuple[str, float | list[float]]],
    at: float,
) -> str:
    directive = {
        "Namespace": namespace,
        "Dimensions": [[name for name, _ in dimensions]],
        "Metrics": [
            {"Name": name, "Unit": unit, "StorageResolution": STANDARD_RESOLUTION}
            for name, (unit, _) in metrics.items()
        ],
    }
    record = {
        "_aws": {"Timestamp": round(at * 1000), "CloudWatchMetrics": [directive]},
        **dict(dimensions),
        **{name: value for name, (_, value) in metrics.items()},
    }
    return json.dumps(record, allow_nan=False, separators=(",", ":"))
