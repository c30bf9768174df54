"""Pinecone: an index of the vectors API (gRPC or REST) or of the Documents API."""

from rowvec.vectorstores.pinecone.store import PineconeStore

__all__ = ["PineconeStore"]
