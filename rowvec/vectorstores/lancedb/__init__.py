"""LanceDB: the embedded vector store."""

from rowvec.vectorstores.lancedb.store import LanceDBStore

__all__ = ["LanceDBStore"]
