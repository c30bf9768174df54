"""The link that the embedded service prints once it listens: it signs its owner in, once."""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI

from app.api.service import Service
from app.web.session import LINK_SECONDS
from app.web.site import Site

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - names them, binds nothing


class InvitingServer(uvicorn.Server):
    """Serves the app, and prints the link as soon as it opens something."""

    def __init__(self, app: FastAPI, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await _invite(self._app.state.service, self._app.state.site, _base(self.config))


def _base(config: uvicorn.Config) -> str:
    host = config.host
    at = EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{at}:{config.port}"


async def _invite(service: Service, site: Site, base: str) -> None:
    """Only where nothing but the service that somebody has just started by hand is needed."""
    if service.settings.broker_url or service.is_production:
        return
    owner = await service.keyring.owner()
    if owner is None:
        return
    sys.stderr.write(
        f"\nThe dashboard, signed in (once, within {LINK_SECONDS // 60} minutes):\n\n"
        f"    {base}/sign-in?token={site.sessions.link_token(owner.id)}\n\n"
    )
    sys.stderr.flush()
