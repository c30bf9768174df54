"""Readings → the part of docs/performance.md that is measured, and what is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.findings import Findings, Goal, Plot, Table
from benchmarks.plots import draw, merged
from benchmarks.readings import Readings
from benchmarks.section import AnySection

BEGIN = "<!-- measured: what stands between these two lines is written by `make bench` -->"
END = "<!-- /measured -->"


def write_report(page: Path, pictures: Path, sections: Sequence[AnySection], readings: Readings) -> None:
    """Put the report between the page's two marks and draw its plots; the prose around stays as it is.

    Raises ValueError, and changes nothing, where the page has not exactly these two marks in their order.
    """
    before, after = _around(page.read_text(encoding="utf-8"))
    plots = merged(plot for section in sections for plot in _findings(section, readings).plots)
    lines = [*told(sections, readings), *_pictures(plots, pictures.relative_to(page.parent))]
    for plot in plots:
        draw(plot, pictures)
    page.write_text("\n".join([before + BEGIN, "", *lines, END + after]), encoding="utf-8")


def told(sections: Sequence[AnySection], readings: Readings) -> list[str]:
    """The machine, every goal with its figure, and each section's tables, as lines of Markdown."""
    found = [(section, _findings(section, readings)) for section in sections]
    goals = [goal for _, findings in found for goal in findings.goals]
    lines = [f"Measured on: {readings.machine}.", "", *_goal_table(goals)]
    for section, findings in found:
        lines += ["", f"## {section.title}", "", *_section(section, findings, readings)]
    return [*lines, ""]


def _around(page: str) -> tuple[str, str]:
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or page.count(BEGIN) + page.count(END) != 2:
        raise ValueError(f"the page needs these two lines once each, in this order: {BEGIN} and {END}")
    return before, after


def _findings(section: AnySection, readings: Readings) -> Findings:
    return section.present(readings.of(section.name, section.reading))


def _goal_table(goals: Iterable[Goal]) -> list[str]:
    rows = [(goal.name, goal.wanted, goal.figure, goal.verdict) for goal in goals]
    return _markdown(Table(("goal", "wanted", "measured", ""), rows))


def _section(section: AnySection, findings: Findings, readings: Readings) -> Iterator[str]:
    when = readings.when(section.name)
    measured = f"Measured {when} UTC, by `python -m benchmarks --only {section.name}`."
    yield f"{measured}{_pace(readings.paces(section.name))}" if when else "Not measured."
    for table in findings.tables if when else ():
        yield from ("", *_markdown(table))


def _pace(paces: Sequence[float]) -> str:
    words = " to ".join(dict.fromkeys(f"{pace:.0f}" for pace in paces))
    return f" The machine's pace: {words} µs." if words else ""


def _markdown(table: Table) -> list[str]:
    head = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"]
    rows = [f"| {' | '.join(row)} |" for row in table.rows]
    return [*((table.caption, "") if table.caption else ()), *head, *rows]


def _pictures(plots: Iterable[Plot], folder: Path) -> Iterator[str]:
    yield "## Pictures"
    yield ""
    for plot in plots:
        yield f"![{plot.title}: {plot.y} over {plot.x}]({folder.as_posix()}/{plot.name}.svg)"
        yield ""
