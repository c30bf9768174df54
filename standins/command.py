"""The command line that all stand-ins share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec


@dataclass(frozen=True, slots=True)
class Command:
    """`--port N`, or `--fd N` where a socket listens already; `--supervised` ends with standard input."""

    parser: argparse.ArgumentParser
    port: int
    fd: int | None
    supervised: bool
    settings: dict[str, Any]

    def refuse(self, reason: object) -> NoReturn:
        """End with what is wrong."""
        self.parser.error(str(reason))


def read(name: str, arguments: Sequence[str]) -> Command:
    """`python -m standins.NAME --port 8100 --set latency='{"mean": 0.25}'`."""
    parser = argparse.ArgumentParser(prog=f"python -m standins.{name}")
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1 (any free port)")
    parser.add_argument("--fd", type=int, help="a socket that listens already, instead of a port")
    parser.add_argument("--supervised", action="store_true", help="end with standard input")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=JSON", help="a setting; may be repeated"
    )
    options = parser.parse_args(arguments)
    try:
        settings = dict(map(_pair, options.set))
    except ValueError as error:
        parser.error(str(error))
    return Command(parser, options.port, options.fd, options.supervised, settings)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes NAME=JSON, not '{text}'")
    try:
        return name, msgspec.json.decode(value.encode())
    except msgspec.DecodeError:
        return name, value
