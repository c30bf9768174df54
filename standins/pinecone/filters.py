"""Pinecone's filter language over metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from standins.pinecone.refusals import invalid

MOST_VALUES = 10_000
Metadata = Mapping[str, Any]
Test = Callable[[Metadata], bool]

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}


class Filter:
    """`equal` is (field, values) when it asks for nothing else than one of these values in that field."""

    def __init__(self, spec: Any) -> None:
        if not isinstance(spec, dict) or not spec:
            raise invalid("The filter must be a non-empty object of filter predicates.")
        self.matches = _all(spec)
        self.equal = _equality(spec)
        self._unlike = _inequality(spec)

    def matches_json(self, metadata: bytes) -> bool:
        """The same of metadata as it is kept, which need not be decoded where it holds what it must not."""
        if any(unlike in metadata for unlike in self._unlike):
            return False
        return self.matches(msgspec.json.decode(metadata))


def _equality(spec: dict[str, Any]) -> tuple[str, list[Any]] | None:
    if len(spec) != 1:
        return None
    [(field, wanted)] = spec.items()
    if field.startswith("$"):
        return None
    if not isinstance(wanted, dict):
        return field, [wanted]
    if len(wanted) == 1 and "$eq" in wanted:
        return field, [wanted["$eq"]]
    return (field, wanted["$in"]) if len(wanted) == 1 and "$in" in wanted else None


def _inequality(spec: dict[str, Any]) -> tuple[bytes, ...]:
    """The field with the one string that it must not be, as it stands in JSON, first or after another. Quotes
    within a string are escaped, and metadata holds no objects: where this is found, it is that very field."""
    [(field, wanted), *more] = spec.items()
    if more or field.startswith("$") or not isinstance(wanted, dict) or wanted.keys() != {"$ne"}:
        return ()
    value = wanted["$ne"]
    if not isinstance(value, str):
        return ()
    entry = msgspec.json.encode({field: value})[1:-1]
    return b"{" + entry, b"," + entry


def _all(spec: dict[str, Any]) -> Test:
    tests = [_clause(name, wanted) for name, wanted in spec.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _clause(name: str, wanted: Any) -> Test:
    if name in ("$and", "$or"):
        if not isinstance(wanted, list) or not wanted:
            raise invalid(f"{name} takes a non-empty list of filters")
        tests = [Filter(one).matches for one in wanted]
        fold = all if name == "$and" else any
        return lambda metadata: fold(test(metadata) for test in tests)
    if name == "$not":
        refused = Filter(wanted).matches
        return lambda metadata: not refused(metadata)
    if name.startswith("$"):
        raise invalid(f"Unknown filter operator '{name}'")
    operators = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    tests = [_operator(name, operator, bound) for operator, bound in operators.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _operator(field: str, operator: str, bound: Any) -> Test:
    if operator == "$exists":
        return lambda metadata: (field in metadata) is bool(bound)
    if operator in ("$in", "$nin"):
        values = _values(operator, bound)
        inside = operator == "$in"
        return lambda metadata: _has(metadata.get(field), values) is inside
    if not isinstance(bound, str | int | float):
        raise invalid(f"{operator} of '{field}' takes a string, number or boolean")
    if operator in ("$eq", "$ne"):
        equal = operator == "$eq"
        return lambda metadata: _has(metadata.get(field), (bound,)) is equal
    compare = _COMPARED.get(operator)
    if compare is None:
        raise invalid(f"Unknown filter operator '{operator}'")
    return lambda metadata: _is_number(metadata.get(field)) and compare(metadata[field], bound)


def _values(operator: str, bound: Any) -> frozenset[Any]:
    if not isinstance(bound, list) or len(bound) > MOST_VALUES:
        raise invalid(f"{operator} takes a list of at most {MOST_VALUES} values")
    return frozenset(bound)


def _has(value: Any, wanted: frozenset[Any] | tuple[Any, ...]) -> bool:
    return any(item in wanted for item in value) if isinstance(value, list) else value in wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and not isinstance(value, bool)
