"""Plots as SVG that can be read on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.findings import Plot

INK = "#7d7d7d"
"""A grey with more than four times the contrast of a white page and of a black one; so are the colours."""

COLOURS = ("#3d85c6", "#c8761b", "#389857", "#b85ba8", "#a08a1f", "#d0504c")

_STYLE: Any = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "rowvec",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def merged(plots: Iterable[Plot]) -> list[Plot]:
    """Plots of one name as one plot with all their lines."""
    found: dict[str, Plot] = {}
    for plot in plots:
        known = found.get(plot.name)
        found[plot.name] = replace(known, lines={**known.lines, **plot.lines}) if known else plot
    return list(found.values())


def draw(plot: Plot, folder: Path) -> Path:
    """Write `folder/NAME.svg`, the same bytes for the same plot."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plot.name}.svg"
    with mpl.rc_context(_STYLE):
        figure = _figure(plot)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
    return path


def _figure(plot: Plot) -> Figure:
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for (name, points), colour in zip(plot.lines.items(), _colours(len(plot.lines)), strict=True):
        mark = "o" if len(points) < 12 else ""
        axes.plot(*zip(*points, strict=True), label=name, color=colour, marker=mark, linewidth=1.8)
    _label(axes, plot)
    _scale(axes, plot)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def _colours(count: int) -> Sequence[str]:
    return (COLOURS * (count // len(COLOURS) + 1))[:count]


def _label(axes: Axes, plot: Plot) -> None:
    axes.set_title(plot.title, loc="left", fontsize=11)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    if plot.limit:
        name, at = plot.limit
        axes.axvline(at, color=INK, linestyle="--", linewidth=1, label=name)


def _scale(axes: Axes, plot: Plot) -> None:
    if "x" in plot.logarithmic:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    if "y" in plot.logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if name in plot.logarithmic:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
