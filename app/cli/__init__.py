"""The command line: `python -m app …`, or `./vectordb …`. One file a group of commands."""

from __future__ import annotations

import sys

import typer

from app.cli import demo, doctor, estimate, keys, limits, preview, prune, run, search, serve, tasks

app = typer.Typer(
    name="vectordb",
    help="Turns a table into a vector index and proves that every row arrived.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 finished with rejected rows, 4 key or quota, "
    "5 unreachable, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (
    demo.demo, serve.serve, serve.worker, run.run, preview.preview, estimate.estimate, tasks.tasks,
    tasks.status, tasks.pause, tasks.resume, tasks.retry, tasks.cancel, tasks.verify, tasks.rejected,
    prune.prune, search.search, doctor.doctor, limits.limits, limits.pause_provider, limits.resume_provider,
):  # fmt: skip
    app.command()(command)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """The entry point. Characters that the terminal's encoding lacks are replaced, never raised over."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper in every real process
    app(prog_name="vectordb")
