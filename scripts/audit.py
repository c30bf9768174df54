"""Is there an advisory about anything that is pinned? Needs the network, and says plainly when there is none.

Exit codes: 0 none, 1 there is one, 2 the advisory service cannot be reached: then nothing is known.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SERVICE = "https://api.osv.dev/v1/querybatch"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)
AT_ONCE = 500


def pins(text: str) -> list[tuple[str, str]]:
    """Name and version of each pin of a requirements file, once."""
    return sorted(set(PIN.findall(text)))


def ask(wanted: list[tuple[str, str]], service: str = SERVICE) -> Iterator[str]:
    """A line for each advisory. Raises OSError where the service cannot be reached or used."""
    for at in range(0, len(wanted), AT_ONCE):
        some = wanted[at : at + AT_ONCE]
        asked = [{"package": {"name": n, "ecosystem": "PyPI"}, "version": v} for n, v in some]
        request = urllib.request.Request(service, json.dumps({"queries": asked}).encode())  # noqa: S310 - https
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            results = json.load(answer)["results"]
        for (name, version), result in zip(some, results, strict=True):
            for advisory in result.get("vulns", ()):
                yield f"{name} {version}: {advisory['id']}"


def main(service: str = SERVICE) -> int:
    wanted = pins(Path("requirements-dev.txt").read_text() + Path("requirements.txt").read_text())
    try:
        found = list(ask(wanted, service))
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"error: nothing is known: {service} cannot be asked ({error}).\n")
        return 2
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} advisories about {len(wanted)} pins\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
