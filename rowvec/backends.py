"""How a role finds its backend: a table of lazy lines, one a backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rowvec.errors import NotConfigured


@dataclass(frozen=True, slots=True)
class Backend:
    """`target` is `module:Class`; `hint` says how to get what it needs when the import fails."""

    target: str
    hint: str = ""


def load(role: str, table: Mapping[str, Backend], name: str) -> Any:
    """The class of a backend: by its name in the table, or by `module:Class` from outside it.

    Raises NotConfigured for an unknown name, or when what the backend needs is not installed.
    """
    backend = table.get(name) or (Backend(name) if ":" in name else None)
    if backend is None:
        known = ", ".join(sorted(table))
        raise NotConfigured(f"There is no {role} called '{name}'. Known: {known}.")
    module, _, attribute = backend.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        remedy = f" {backend.hint}" if backend.hint else ""
        raise NotConfigured(f"The {role} '{name}' cannot be loaded: {error}.{remedy}") from error


def scheme(url: str) -> str:
    """`sqlite` of `sqlite:///x`, `memory` of `memory`; drivers (`postgresql+psycopg`) are cut off.

    A `module:Class` has no `//` and is its own scheme.
    """
    head, slashes, _ = url.partition("://")
    return head.partition("+")[0] if slashes else url
