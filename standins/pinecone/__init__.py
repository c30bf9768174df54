"""Stands in for Pinecone: control plane, REST and gRPC data planes, and the Documents API, on one port."""
