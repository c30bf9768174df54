"""The embedded metric format, as AWS's specification has it, and what CloudWatch would make of records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Dimensions = frozenset[tuple[str, str]]

UNITS = (
    "Seconds|Microseconds|Milliseconds|Count|Count/Second|Percent|None"
    "|((Kilo|Mega|Giga|Tera)?bits|Bits|Bytes|(Kilo|Mega|Giga|Tera)bytes)(/Second)?"
)
NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
METRIC = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {
        "Name": NAME,
        "Unit": {"type": "string", "pattern": f"^({UNITS})$"},
        "StorageResolution": {"enum": [1, 60]},
    },
}
DIMENSION_SET = {
    "type": "array",
    "maxItems": 30,
    "items": {"type": "string", "minLength": 1, "maxLength": 250},
}
DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": NAME | {"pattern": "^[A-Za-z0-9._/#:-]+$", "maxLength": 255},
        "Dimensions": {"type": "array", "minItems": 1, "items": DIMENSION_SET},
        "Metrics": {"type": "array", "maxItems": 100, "items": METRIC},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1_500_000_000_000},
                "CloudWatchMetrics": {"type": "array", "items": DIRECTIVE},
            },
        },
    },
}
VALUE = {"type": "number"}
METRIC_TARGET = {"anyOf": [VALUE, {"type": "array", "minItems": 1, "maxItems": 100, "items": VALUE}]}
DIMENSION_TARGET = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[\x20-\x7e]+$"}
MOST_BYTES = 256 * 1024
"""AWS's limit was that for long, and is more today."""


@dataclass(frozen=True)
class Told:
    """All values of all records, by metric and dimensions, in their order; and the units by metric."""

    values: dict[tuple[str, Dimensions], list[float]]
    units: dict[str, str]

    def sum(self, name: str, **dimensions: str) -> float:
        return sum(self.values.get((name, frozenset(dimensions.items())), []))

    def samples(self, name: str) -> int:
        """Of all its dimensions."""
        return sum(len(values) for (metric, _), values in self.values.items() if metric == name)


def told(lines: Iterable[str]) -> Told:
    """Raises ValidationError, or ValueError, for a line that CloudWatch would not take."""
    values: dict[tuple[str, Dimensions], list[float]] = defaultdict(list)
    units: dict[str, str] = {}
    for line in lines:
        record = json.loads(line)
        jsonschema_rs.validate(SCHEMA, record)
        if len(line.encode()) > MOST_BYTES:
            raise ValueError(f"a record of {len(line.encode())} bytes")
        for directive in record["_aws"]["CloudWatchMetrics"]:
            _take(record, directive, values, units)
    return Told(values, units)


def _take(
    record: dict[str, Any],
    directive: dict[str, Any],
    values: dict[tuple[str, Dimensions], list[float]],
    units: dict[str, str],
) -> None:
    """What the names stand for is beside `_aws`, never deeper."""
    for names in directive["Dimensions"]:
        for name in names:
            jsonschema_rs.validate(DIMENSION_TARGET, record[name])
        dimensions = frozenset((name, record[name]) for name in names)
        for metric in directive["Metrics"]:
            value = record[metric["Name"]]
            jsonschema_rs.validate(METRIC_TARGET, value)
            values[metric["Name"], dimensions] += value if isinstance(value, list) else [value]
            if units.setdefault(metric["Name"], metric["Unit"]) != metric["Unit"]:
                raise ValueError(f"{metric['Name']} has two units")
