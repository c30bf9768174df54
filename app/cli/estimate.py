"""`estimate FILE`: what `run FILE` would come to, without running it."""

from __future__ import annotations

from app.api.views import EstimateView
from app.cli.door import through
from app.cli.exits import Exit
from app.cli.progress import clock
from app.cli.screen import Json, Screen
from app.cli.wish import File, Wish, here, of_a_table
from rowvec.estimate import estimate as estimated
from rowvec.machine import Machine


@of_a_table
def estimate(file: File, wish: Wish, json: Json = False) -> None:
    """Say what a table would come to: rows, tokens, dollars and time. Spends nothing."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        view = EstimateView.of(await estimated(*here(machine, file, wish)))
        screen.answer(view.model_dump(mode="json"), lambda: described(view))
        return Exit.DONE

    through(json, work)


def described(view: EstimateView) -> str:
    """A few lines for a person."""
    about = "" if view.exact else "about "
    time = "time unknown" if view.seconds is None else f"about {clock(view.seconds)}"
    lines = [
        f"{about}{view.rows:,} rows, {_size(view)}; chunks of up to {view.chunk_size:,} rows: "
        f"{about}{view.chunks:,}",
        f"{view.rows_to_embed:,} rows to embed as {view.passages:,} passages; "
        f"{view.rejected_share:.1%} rejected, {view.filtered_share:.1%} outside the dates",
        _tokens(view),
        f"{_dollars(view)} with {view.model}; {time}; {view.memory_bytes / 1e6:,.1f} MB a chunk",
    ]
    if not view.exact:
        lines.append("from the beginning only: the table is too large to be scanned whole")
    if view.sampled_rows < view.rows:
        lines.append(f"from a sample of {view.sampled_rows:,} rows")
    return "\n".join(lines)


def _tokens(view: EstimateView) -> str:
    if view.tokens_counted:
        return f"{view.tokens:,} tokens ({view.tokens_low:,} to {view.tokens_high:,})"
    return (
        f"about {view.tokens:,} tokens, {view.tokens_high:,} at most: not counted but estimated, rather too "
        "many, for want of the tokenizer's table (TIKTOKEN_CACHE_DIR)"
    )


def _dollars(view: EstimateView) -> str:
    if view.tokens_counted:
        return f"{view.dollars:,.2f} dollars"
    return f"about {view.dollars:,.2f} dollars, {view.dollars_high:,.2f} at most,"


def _size(view: EstimateView) -> str:
    spelling = " ".join(filter(None, (view.encoding, view.compression)))
    if spelling == "utf-8":
        return f"{view.bytes:,} bytes"
    about = "" if view.exact else "about "
    return f"{view.bytes:,} bytes of {spelling} ({about}{view.text_bytes:,} as UTF-8)"
