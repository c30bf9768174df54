"""The link that the embedded service prints when it starts: it signs its owner in, once."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from app.api.service import Service
from app.web.session import LINK_SECONDS
from app.web.site import Site

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - names them, binds nothing


def announce(app: FastAPI, host: str, port: int) -> None:
    """Where this process is about to serve, so that it can tell when it does."""
    at = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    app.state.announced = f"http://{at}:{port}"


async def invite(app: FastAPI, service: Service, site: Site) -> None:
    """Print the link, where somebody has just started the service by hand and nothing but it is needed."""
    base = getattr(app.state, "announced", None)
    if base is None or service.settings.broker_url or service.is_production:
        return
    owner = await service.keyring.owner()
    if owner is None:
        return
    sys.stderr.write(
        f"\nThe dashboard, signed in (once, within {LINK_SECONDS // 60} minutes):\n\n"
        f"    {base}/sign-in?token={site.sessions.link_token(owner.id)}\n\n"
    )
    sys.stderr.flush()
