"""`doctor`: what is configured, what answers, and what to do about the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import typer

from app.assembly import assemble
from app.cli.door import configured, explained
from app.cli.exits import Exit
from app.cli.parts import LEADS, Look, Problem, looks, python
from app.cli.screen import Json, Screen
from app.config import Settings
from app.workers.doorbell import check_broker
from rowvec.errors import OtherDimension, RowvecError, Unavailable

PATIENCE = 15.0
"""Seconds a part has to answer."""

ASK_THE_LEDGER = ("worker", "API key")
_ASKS = {"tokens": "embedder"} | dict.fromkeys(ASK_THE_LEDGER, "ledger")

INSTEAD = {
    "broker": {"broker_url": ""},
    "ledger": {"ledger_url": "memory://"},
    "file store": {"file_store_url": ""},
    "vector store": {"vector_store_url": "memory://"},
    "embedder": {"embedder": "memory"},
}
"""By part, the settings of one that needs none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part; a problem's detail says what to do."""

    part: str
    ok: bool
    detail: str


def doctor(json: Json = False) -> None:
    """Check every part, and say what to do about what is missing."""
    screen = Screen(json)
    with explained(screen):
        findings = asyncio.run(examined())
        well = all(finding.ok for finding in findings)
        document = {"ok": well, "checks": [asdict(finding) for finding in findings]}
        screen.answer(document, lambda: _listed(findings))
        code = Exit.DONE if well else Exit.FAILED
    raise typer.Exit(code)


def _listed(findings: list[Finding]) -> str:
    return "\n".join(f"{'ok' if f.ok else 'PROBLEM':<8} {f.part:<13} {f.detail}" for f in findings)


async def examined(read: Callable[[], Settings] = configured) -> list[Finding]:
    """Every part that can be looked at; without settings there is nothing to look at."""
    findings = [await _finding("python", python)]
    try:
        config = read()
    except RowvecError as error:
        return [*findings, Finding("settings", False, error.message)]
    config, wrong = _openable(config)
    machine = assemble(config)
    try:
        for part, look in looks(config, machine, sized="embedder" not in wrong).items():
            if part in wrong:
                findings.append(Finding(part, False, wrong[part]))
            elif _ASKS.get(part) in wrong:
                findings.append(Finding(part, False, f"Only the {_ASKS[part]} can tell, see there."))
            elif part in ASK_THE_LEDGER and not _is_well(findings, "ledger"):
                findings.append(Finding(part, False, "Only the ledger can tell, see there."))
            else:
                findings.append(await _finding(part, look))
    finally:
        await machine.close()
    return [replace(finding, detail=machine.redact(finding.detail)) for finding in findings]


def _openable(config: Settings) -> tuple[Settings, dict[str, str]]:
    """Settings with an embedded part in place of each whose own settings are wrong, and what is wrong, by
    part: all the others can be looked at."""
    wrong = {part: said for part in INSTEAD if (said := _fault(config, part))}
    return config.model_copy(update={name: v for part in wrong for name, v in INSTEAD[part].items()}), wrong


def _fault(config: Settings, part: str) -> str | None:
    """What is wrong with the settings of this part, all others being well."""
    others = {name: v for other in INSTEAD if other != part for name, v in INSTEAD[other].items()}
    alone = config.model_copy(update=others)
    try:
        check_broker(alone)
        assemble(alone)
    except RowvecError as error:
        return error.message
    return None


def _without_tasks(message: str) -> str:
    """The same errors pause tasks, and then say that these are to be resumed."""
    return message.removesuffix(" Then resume.").replace(", then resume.", ".")


def _is_well(findings: list[Finding], part: str) -> bool:
    return all(finding.ok for finding in findings if finding.part == part)


async def _finding(part: str, look: Look) -> Finding:
    try:
        return Finding(part, True, await asyncio.wait_for(look(), PATIENCE))
    except OtherDimension as error:
        return Finding(part, False, error.message)
    except Unavailable as error:
        lead = f" Is it running, and do {LEADS[part]} and the network lead to it?" if part in LEADS else ""
        return Finding(part, False, f"{error.message.rstrip('.')}.{lead}")
    except RowvecError as error:
        return Finding(part, False, _without_tasks(error.message))
    except TimeoutError:
        return Finding(part, False, f"No answer within {PATIENCE:.0f} seconds: is it running, and reachable?")
    except (Problem, OSError) as error:
        return Finding(part, False, str(error))
