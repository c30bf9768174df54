"""`keys create | list | revoke`: who may call the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen
from app.keys import make_key
from rowvec.api_key import ApiKey
from rowvec.machine import Machine
from rowvec.model import utc

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "made on the command line",
    json: Json = False,
) -> None:
    """Make a key. It is shown once and cannot be shown again."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        stored, key = make_key(name, await machine.ledger.now())
        await machine.ledger.add_key(stored)
        screen.answer({"key": key, **_described(stored)}, lambda: key)
        screen.note(f"Key {stored.id} is shown only now: keep it. Callers send it as X-API-Key.")
        return Exit.DONE

    through(json, work)


@app.command("list")
def list_keys(json: Json = False) -> None:
    """List the keys of the ledger; those of API_KEYS are not among them."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        keys = [_described(key) for key in await machine.ledger.keys()]
        lines = [f"{key['id']}  {_state(key)}  {key['name']}" for key in keys]
        screen.answer(
            {"keys": keys}, lambda: "\n".join(lines) or "No keys. Make one with: ./vectordb keys create"
        )
        return Exit.DONE

    through(json, work)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")], json: Json = False
) -> None:
    """Revoke a key: it opens nothing any more."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        await machine.ledger.revoke_key(key_id)
        screen.answer({"id": key_id, "revoked": True}, lambda: f"key {key_id} is revoked")
        return Exit.DONE

    through(json, work)


def _described(key: ApiKey) -> dict[str, Any]:
    created, revoked = utc(key.created_at), utc(key.revoked_at)
    return {
        "id": key.id,
        "name": key.name,
        "created_at": created.isoformat() if created else None,
        "revoked_at": revoked.isoformat() if revoked else None,
    }


def _state(key: dict[str, Any]) -> str:
    return f"revoked {key['revoked_at'][:10]}" if key["revoked_at"] else f"made {key['created_at'][:10]}"
