"""Counters in Prometheus' text format: base units, and never an id as a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.api.traffic import Tally
from app.api.views import Workers
from rowvec import __version__


def exposition(tally: Tally, workers: Workers) -> str:
    """All metrics of this process and the workers the ledger knows."""
    blocks = [
        _family("vectordb_build_info", "gauge", "The version that runs.", [({"version": __version__}, 1)]),
        _family(
            "vectordb_workers", "gauge", "Workers by what they can do.",
            [({"state": "active"}, workers.active), ({"state": "available"}, workers.available)],
        ),
        _family(
            "vectordb_http_requests_total", "counter", "Requests answered by this process.",
            [(_labels(key), count) for key, count in sorted(tally.requests.items())],
        ),
        _family(
            "vectordb_http_request_seconds_total", "counter", "Seconds this process spent on requests.",
            [(_labels(key), round(seconds, 6)) for key, seconds in sorted(tally.seconds.items())],
        ),
    ]  # fmt: skip
    return "".join(blocks)


def _labels(key: tuple[str, str, int]) -> dict[str, str]:
    method, route, status = key
    return {"method": method, "route": route, "status": str(status)}


def _family(name: str, kind: str, told: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
