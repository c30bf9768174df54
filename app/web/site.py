"""What the pages share in a process, made once when the service starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from app.config import Settings
from app.web.census import Census
from app.web.commits import Commits
from app.web.live import Live
from app.web.secret import session_secret
from app.web.session import Sessions


@dataclass(frozen=True, slots=True)
class Site:
    sessions: Sessions
    live: Live = field(default_factory=Live)
    census: Census = field(default_factory=Census)
    commits: Commits = field(default_factory=Commits)

    @staticmethod
    def open(config: Settings) -> Site:
        """Raises NotConfigured."""
        return Site(Sessions(session_secret(config)))


async def site(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


TheSite = Annotated[Site, Depends(site)]
