"""The Python standard library's own documentation as a table: what the demo indexes.

Run as `python -m app.demo.stdlib_table FILE` in a process of its own, because importing every module of the
standard library leaves traces in the one that does it. Prints the number of rows.
"""

from __future__ import annotations

import contextlib
import csv
import inspect
import io
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from importlib import import_module
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType

SKIPPED = frozenset({
    "antigravity", "ensurepip", "genericpath", "idlelib", "lib2to3", "nt", "ntpath", "posix", "posixpath",
    "pydoc_data", "sre_compile", "sre_constants", "sre_parse", "test", "this", "tkinter", "turtle",
    "turtledemo",
})  # fmt: skip
"""Modules that open a window, print a poem, test themselves, or repeat another one (`os` holds `posix`)."""

SKIPPED_PARTS = frozenset({"test", "tests", "__main__"})
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
FUNCTIONS = (FunctionType, BuiltinFunctionType)
PLAIN = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True, slots=True)
class Documented:
    """One row: `name` is the dotted name, `summary` the docstring's first paragraph on one line."""

    name: str
    module: str
    kind: str
    signature: str
    summary: str
    docstring: str


def write_table(path: Path) -> int:
    """Write the table as CSV with a header; returns how many rows it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(field.name for field in fields(Documented))
        for row in documentation():
            writer.writerow(astuple(row))
            count += 1
    return count


def documentation() -> Iterator[Documented]:
    """Every public function, class and method that has a docstring, in the order of their modules' names.

    What several modules re-export is named once, by the shallowest of them.
    """
    names: set[str] = set()
    objects: set[int] = set()
    modules = _modules()
    for path in sorted(modules, key=lambda path: (path.count("."), path)):
        for name, thing in _public(modules[path]):
            if id(thing) in objects:
                continue
            objects.add(id(thing))
            for row in _rows(path, name, thing):
                if row.name not in names:
                    names.add(row.name)
                    yield row


def _modules() -> dict[str, ModuleType]:
    """Every public module that imports here: not those of other systems or of parts that were not built."""
    found: dict[str, ModuleType] = {}
    for path in [*sorted(sys.stdlib_module_names), "os.path"]:
        if not path.startswith("_") and path not in SKIPPED:
            found |= _with_submodules(path)
    return found


def _with_submodules(path: str) -> dict[str, ModuleType]:
    module = _imported(path)
    if module is None:
        return {}
    found = {path: module}
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not info.name.startswith("_") and info.name not in SKIPPED_PARTS:
            found |= _with_submodules(f"{path}.{info.name}")
    return found


def _imported(name: str) -> ModuleType | None:
    """A module, or None where it does not import: modules for other systems raise whatever they like."""
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except (Exception, SystemExit):  # noqa: BLE001 (other people's modules)
            return None


def _public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Public functions and classes: those of `__all__`, else those that the module defines itself."""
    listed = getattr(module, "__all__", None)
    for name in sorted(vars(module) if listed is None else set(listed)):
        thing = vars(module).get(name)
        if name.startswith("_") or not isinstance(thing, (type, *FUNCTIONS)):
            continue
        home = getattr(thing, "__module__", None) or ""
        if listed is not None or home.lstrip("_") == module.__name__:
            yield name, thing


def _rows(module: str, name: str, thing: object) -> Iterator[Documented]:
    kind = "class" if isinstance(thing, type) else "function"
    if row := _row(module, name, kind, thing):
        yield row
    if isinstance(thing, type):
        for method, raw in sorted(vars(thing).items()):
            member = getattr(thing, method, None)
            if not method.startswith("_") and callable(member) and not isinstance(member, type):
                described = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else member
                if row := _row(module, f"{name}.{method}", "method", described):
                    yield row


def _row(module: str, name: str, kind: str, thing: object) -> Documented | None:
    text = getattr(thing, "__doc__", None)
    if not isinstance(text, str) or not text.strip():
        return None
    docstring = ADDRESS.sub(" at 0x...", inspect.cleandoc(text))
    summary = " ".join(docstring.partition("\n\n")[0].split())
    return Documented(f"{module}.{name}", module, kind, _signature(thing), summary, docstring)


def _signature(thing: object) -> str:
    """As a caller would write it; empty where the interpreter does not know it.

    A C function's signature is text that is evaluated here: it fails in more ways than the documented ones.
    """
    if not callable(thing):
        return ""
    try:
        signature = inspect.signature(thing)
    except (ValueError, TypeError, NameError, AttributeError, SyntaxError):
        return ""
    shown = [_shown(parameter) for parameter in signature.parameters.values()]
    return ADDRESS.sub(" at 0x...", str(signature.replace(parameters=shown)))


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    """A default is written out only where it is a plain value: `cgi.parse` has the environment as one."""
    plain = parameter.default is parameter.empty or isinstance(parameter.default, PLAIN)
    return parameter if plain else parameter.replace(default=Elided())


class Elided:
    def __repr__(self) -> str:
        return "..."


if __name__ == "__main__":
    sys.stdout.write(f"{write_table(Path(sys.argv[1]))}\n")
