"""The table of vector stores: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "lancedb": Backend("rowvec.vectorstores.lancedb:LanceDBStore", "pip install lancedb"),
    "pinecone": Backend("rowvec.vectorstores.pinecone:PineconeStore", "pip install grpcio httpx2 msgspec"),
    "memory": Backend("rowvec.vectorstores.memory:MemoryStore"),
    "digest": Backend("rowvec.vectorstores.digest:DigestStore"),
}
