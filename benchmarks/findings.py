"""What a section has to say: tables, goals and plots, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Goal:
    """`figure` is what was measured, in words; `met` is None where nothing was measured."""

    name: str
    wanted: str
    figure: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return "not measured" if self.met is None else "met" if self.met else "**missed**"


Figure = Callable[..., float]
"""Of one reading or more, what a goal is about."""


def at_most(name: str, bound: float, unit: str, figure: Figure, *readings: object) -> Goal:
    """Met when the figure of these readings is the bound or less; not measured where one is None."""
    measured = None if None in readings else figure(*readings)
    met = None if measured is None else measured <= bound
    return Goal(name, f"≤ {_with(unit, bound)}", _with(unit, measured), met)


def at_least(name: str, bound: float, unit: str, figure: Figure, *readings: object) -> Goal:
    """Met when the figure of these readings is the bound or more; not measured where one is None."""
    measured = None if None in readings else figure(*readings)
    met = None if measured is None else measured >= bound
    return Goal(name, f"≥ {_with(unit, bound)}", _with(unit, measured), met)


def _with(unit: str, value: float | None) -> str:
    return "–" if value is None else f"{number(value)} {unit}"


@dataclass(frozen=True, slots=True)
class Table:
    """A heading for each column, and rows of cells; `caption` is what they are, in a sentence or two."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Named lines over two labelled axes. Plots of one name, of several sections, become one picture.

    `limit` is a bound worth seeing, with its name. Both axes begin at zero unless they are logarithmic.
    """

    name: str
    title: str
    x: str
    y: str
    lines: Mapping[str, Points]
    logarithmic: Literal["", "x", "xy"] = ""
    limit: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    tables: Sequence[Table]
    goals: Sequence[Goal]
    plots: Sequence[Plot] = field(default=())


def number(value: float) -> str:
    """Three figures that mean something: 12,345, 123, 12.3, 1.23."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
