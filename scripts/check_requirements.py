"""Are requirements.txt and requirements-dev.txt what pyproject.toml asks for? Needs no network.

Every dependency must be pinned with a hash, and the two files must agree on what both pin.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def pins(path: Path) -> dict[str, set[str]]:
    """Versions by name; a name may be pinned differently for different systems."""
    found: dict[str, set[str]] = {}
    for name, version, rest in PIN.findall(path.read_text()):
        if "--hash=sha256:" not in rest:
            sys.exit(f"error: {path.name} pins {name} without a hash. Run: make requirements")
        found.setdefault(normal(name), set()).add(version)
    return found


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    wanted = {normal(name) for name in project["project"]["dependencies"]}
    wanted_dev = {normal(name) for name in project["dependency-groups"]["dev"]} | wanted
    base, dev = pins(Path("requirements.txt")), pins(Path("requirements-dev.txt"))
    wrong = [f"requirements.txt lacks {name}" for name in sorted(wanted - set(base))]
    wrong += [f"requirements-dev.txt lacks {name}" for name in sorted(wanted_dev - set(dev))]
    wrong += [f"the two files pin {name} differently" for name in sorted(base) if base[name] != dev.get(name)]
    if wrong:
        sys.exit(f"error: {'; '.join(wrong)}. Run: make requirements")


if __name__ == "__main__":
    main()
