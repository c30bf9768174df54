"""What a command shows: data on stdout, everything else on stderr; one JSON document when asked for JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Screen:
    """`out` and `err` are the two streams; colours follow the terminal and `NO_COLOR`."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """A line for the person at the terminal."""
        self.err.print(printable(line))

    def answer(self, document: Any, human: Callable[[], str]) -> None:
        """The answer of a command: the document as JSON, or what `human` makes of it."""
        if self.as_json:
            print(json.dumps(document))
        else:
            self.out.print(printable(human()))

    def error(self, code: str, message: str) -> None:
        """One line on stderr; with --json the same as a document on stdout."""
        self.err.print(Text.assemble(("error: ", "bold red"), printable(message)))
        if self.as_json:
            print(json.dumps({"error": {"code": code, "message": message}}))


def printable(text: str) -> str:
    """The text without what could steer a terminal: rows hold whatever their author wanted."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def shortened(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"
