"""All that one stand-in knows: who may ask, what there is to ask for, and what was asked."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from standins.metabase.faults import Fault, Faults, Place
from standins.metabase.questions import ROW_CAP, Question

SETTINGS = ("api_key", "username", "password", "gzip", "row_cap", "status")


@dataclass
class State:
    """Settings, which a caller may change, and what happened, which a reset forgets.

    `gzip` is whether replies are packed for who accepts it; `status` what a good export answers.
    """

    api_key: str = field(default_factory=lambda: f"mb_{token_urlsafe(24)}")
    username: str = "someone@example.com"
    password: str = field(default_factory=lambda: token_urlsafe(12))
    gzip: bool = True
    row_cap: int = ROW_CAP
    status: int = 200
    questions: dict[int, Question] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    counters: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    @property
    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in SETTINGS}

    def set(self, wishes: dict[str, Any]) -> None:
        """Change what is named. Raises ValueError for a name or a kind of value that is none."""
        for name, value in wishes.items():
            if name not in SETTINGS or type(value) is not type(getattr(self, name)):
                raise ValueError(f"there is no setting {name} that could be {value!r}")
        for name, value in wishes.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Nothing was asked, nobody is logged in, nothing goes wrong, and question 1 has a thousand rows."""
        with self.lock:
            self.questions = {1: Question(1, "A made-up table", generated=1000)}
            self.faults.clear()
            self.counters.clear()
            self.sessions.clear()

    def count(self, what: str) -> None:
        with self.lock:
            self.counters[what] += 1

    def fault(self, place: Place) -> Fault | None:
        with self.lock:
            return self.faults.next(place)

    def log_in(self, username: object, password: object) -> str | None:
        """The id of a new session, None for a wrong name or password."""
        if (username, password) != (self.username, self.password):
            return None
        session = str(uuid4())
        with self.lock:
            self.sessions.add(session)
        return session

    def knows(self, api_key: str | None, session: str | None) -> bool:
        return (api_key is not None and api_key == self.api_key) or session in self.sessions
