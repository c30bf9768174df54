"""The table of vector stores: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "lancedb": Backend("rowvec.vectorstores.lancedb:LanceDBStore", "pip install lancedb"),
    "memory": Backend("rowvec.vectorstores.memory:MemoryStore"),
    "digest": Backend("rowvec.vectorstores.digest:DigestStore"),
}
