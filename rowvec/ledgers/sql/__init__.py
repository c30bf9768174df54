"""A ledger in a SQL database: SQLite, in one file that several processes share."""

from rowvec.ledgers.sql.ledger import SqlLedger

__all__ = ["SqlLedger"]
