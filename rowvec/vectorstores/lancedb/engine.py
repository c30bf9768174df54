"""LanceDB itself, as it is loaded here."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

CACHE_BYTES = 64 * 2**20
# Heard only before LanceDB starts: a lost race is no warning of ours, and its read-ahead is 2 GiB.
_ENVIRONMENT = {"LANCEDB_LOG": "error", "LANCE_DEFAULT_IO_BUFFER_SIZE": str(CACHE_BYTES)}
_CLIENT = "lance_namespace_urllib3_client"
"""Of a service that is not used here. LanceDB names its models; all the rest of it takes as long to load as
everything else together."""


def engine() -> Any:
    """LanceDB, imported at first use because that takes a second."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "lancedb" not in sys.modules:
        _put_off(_CLIENT)
    return import_module("lancedb")


def _put_off(package: str) -> None:
    """Its modules are found as ever; what the package itself has is loaded by the first who asks for it."""
    spec = find_spec(package)
    if spec is None or spec.loader is None or package in sys.modules:
        return
    loader, module = spec.loader, module_from_spec(spec)

    def load(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        del module.__getattr__
        loader.exec_module(module)
        return getattr(module, name)

    module.__getattr__ = load  # type: ignore[method-assign]  # as PEP 562 has it
    sys.modules[package] = module
