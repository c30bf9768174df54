"""`keys create | list | rotate | revoke`: who may call the API, and what for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen
from app.keys import for_tenant, make_key, successor
from rowvec.api_key import ApiKey, Grants, Scope
from rowvec.errors import UnknownKey
from rowvec.machine import Machine
from rowvec.model import DAY, utc

app = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke API keys.")

HOUR = 3_600.0
Days = Annotated[float | None, typer.Option(min=0, help="It expires after so many days; never unless given.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]
Several = Annotated[list[str] | None, typer.Option(help="A name, or a prefix that ends in *; several times.")]
Most = Annotated[int | None, typer.Option(min=1)]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")] = "made on the command line",
    scope: Annotated[Scope, typer.Option(help="admin removes vectors, too.")] = Scope.WRITE,
    tenant: Annotated[str, typer.Option(help="Whose tasks it sees; the operator's keys see all.")] = "",
    namespace: Several = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="What it reads: upload, s3_csv:acme/*, metabase:42."),
    ] = None,
    days: Days = None,
    requests_per_second: Most = None,
    queued_rows: Most = None,
    tokens_per_day: Most = None,
    json: Json = False,
) -> None:
    """Make a key. It is shown once and cannot be shown again."""
    grants = Grants(
        scope,
        namespaces=tuple(namespace or ()),
        sources=tuple(source or ()),
        requests_per_second=requests_per_second,
        queued_rows=queued_rows,
        tokens_per_day=tokens_per_day,
    )

    async def work(machine: Machine, screen: Screen) -> Exit:
        now = await machine.ledger.now()
        allowed = for_tenant(tenant, grants) if tenant else grants
        stored, key = make_key(name, now, allowed, None if days is None else now + days * DAY)
        await machine.ledger.add_key(stored)
        return _shown(screen, stored, key)

    through(json, work)


@app.command()
def rotate(
    key_id: KeyId,
    hours: Annotated[float, typer.Option(min=0, help="So long the old key goes on opening.")] = 24,
    days: Days = None,
    json: Json = False,
) -> None:
    """Make a key that allows the same; both are valid side by side until the old one expires."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        old = await machine.ledger.key(key_id)
        if old is None:
            raise UnknownKey(f"There is no API key '{key_id}'.")
        now = await machine.ledger.now()
        stored, key = successor(old, now, None if days is None else now + days * DAY)
        await machine.ledger.rotate_key(key_id, stored, now + hours * HOUR)
        return _shown(screen, stored, key)

    through(json, work)


@app.command("list")
def list_keys(json: Json = False) -> None:
    """List the keys of the ledger; those of API_KEYS are not among them."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        keys = [_described(key) for key in await machine.ledger.keys()]
        lines = [_line(key) for key in keys]
        screen.answer(
            {"keys": keys}, lambda: "\n".join(lines) or "No keys. Make one with: ./vectordb keys create"
        )
        return Exit.DONE

    through(json, work)


@app.command()
def revoke(key_id: KeyId, json: Json = False) -> None:
    """Revoke a key: it opens nothing any more."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        await machine.ledger.revoke_key(key_id)
        screen.answer({"id": key_id, "revoked": True}, lambda: f"key {key_id} is revoked")
        return Exit.DONE

    through(json, work)


def _shown(screen: Screen, stored: ApiKey, key: str) -> Exit:
    screen.answer({"key": key, **_described(stored)}, lambda: key)
    screen.note(f"Key {stored.id} is shown only now: keep it. Callers send it as X-API-Key.")
    return Exit.DONE


def _described(key: ApiKey) -> dict[str, Any]:
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    told = {name: moment.isoformat() if (moment := utc(at)) else None for name, at in times.items()}
    return {"id": key.id, "name": key.name, **told, **asdict(key.grants)}


def _line(key: dict[str, Any]) -> str:
    whose = f"{key['scope']} of {key['tenant'] or 'the operator'}"
    return f"{key['id']}  {_state(key)}  {whose}  {key['name']}"


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {key['revoked_at'][:10]}"
    expires = f", expires {key['expires_at'][:16]}" if key["expires_at"] else ""
    return f"made {key['created_at'][:10]}{expires}"
