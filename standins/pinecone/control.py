"""The control plane: indexes described and listed, in the words of the API's version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from standins.pinecone.doors import DOCUMENTS, require_version
from standins.pinecone.refusals import JSON, Refused, invalid, not_found
from standins.pinecone.settings import IndexSpec
from standins.web import Answer, Request

Hosts = Mapping[str, str]
"""The address of each index's data plane, by name."""


def handle(request: Request, specs: Mapping[str, IndexSpec], hosts: Hosts, lenient: bool = False) -> Answer:
    """The answer to a caller whose key is known."""
    version = request.headers.get("x-pinecone-api-version", "")
    try:
        if not lenient:
            require_version(version)
        if request.method != "GET":
            raise not_found("This stand-in makes its indexes from its settings.")
        if request.path == "/indexes":
            described = [describe(specs[name], hosts[name], version) for name in specs]
            return _said({"indexes": described})
        name = request.path.removeprefix("/indexes/")
        if name not in specs:
            raise not_found(f"Resource {name} not found")
        return _said(describe(specs[name], hosts[name], version))
    except Refused as refused:
        return refused.of_documents()


def describe(spec: IndexSpec, host: str, version: str) -> dict[str, Any]:
    status = {"ready": spec.ready, "state": "Ready" if spec.ready else "Initializing"}
    common = {
        "name": spec.name,
        "host": host,
        "status": status,
        "deletion_protection": "disabled",
        "tags": None,
    }
    if version >= DOCUMENTS:
        return common | {
            "schema": {"fields": _fields(spec)},
            "deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
            "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        }
    if spec.field is not None:
        raise invalid(f"The index {spec.name} has a document schema, which needs the API of {DOCUMENTS}.")
    serverless: dict[str, Any] = {"cloud": "aws", "region": "us-east-1"}
    if spec.filterable is not None:
        serverless["schema"] = {"fields": {name: {"filterable": True} for name in spec.filterable}}
    vectors = {"dimension": spec.dimension, "metric": spec.metric, "vector_type": "dense"}
    return common | vectors | {"spec": {"serverless": serverless}}


def _fields(spec: IndexSpec) -> dict[str, Any]:
    dense = {"type": "dense_vector", "dimension": spec.dimension, "metric": spec.metric, "description": None}
    search = {"language": "en", "stemming": False, "stop_words": False}
    texts = {name: {"type": "string", "full_text_search": search, "store_text": True} for name in spec.texts}
    embedded = {
        name: {
            "type": "string",
            "embed": {"model": "llama-text-embed-v2", "dimension": 1024, "metric": "cosine"},
        }
        for name in spec.required
    }
    filterable = {name: {"filterable": True} for name in spec.filterable or ()}
    return {spec.field or "_values": dense} | texts | embedded | filterable


def _said(document: Any) -> Answer:
    return Answer(200, [msgspec.json.encode(document)], JSON)
