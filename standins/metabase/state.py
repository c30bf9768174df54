"""All that one stand-in knows: who may ask, what there is to ask for, and what was asked."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from uuid import uuid4

from standins.metabase.faults import Fault, Faults, Place
from standins.metabase.questions import ROW_CAP, Question


@dataclass
class State:
    """`gzip` is whether replies are packed for who accepts it; `status` what a good export answers."""

    api_key: str
    username: str
    password: str
    questions: dict[int, Question] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    counters: Counter[str] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)
    gzip: bool = True
    row_cap: int = ROW_CAP
    status: int = 200
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """As it was at the start, but for the keys: question 1 has a thousand rows."""
        with self.lock:
            self.questions = {1: Question(1, "A made-up table", generated=1000)}
            self.faults.clear()
            self.counters.clear()
            self.sessions.clear()
            self.gzip, self.row_cap, self.status = True, ROW_CAP, 200

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
