"""The table of ledgers: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "sqlite": Backend("rowvec.ledgers.sql:SqlLedger"),
    "postgresql": Backend("rowvec.ledgers.sql:SqlLedger"),
    "memory": Backend("rowvec.ledgers.memory:MemoryLedger"),
}
