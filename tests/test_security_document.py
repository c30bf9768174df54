"""The threat model names its tests, and the smaller controls that have no room of their own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.main import create_app
from app.workers.celery_app import app as celery
from tests.tenant_kit import routes

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in DOCUMENT.splitlines() if line.startswith("| API")]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("row", ROWS)
def test_each_threat_names_tests_that_are_there(row: str) -> None:
    """A row without a test, or with one that has gone or been renamed, is a promise without a proof."""
    named = TEST.findall(row)
    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        kinds = ast.FunctionDef | ast.AsyncFunctionDef
        functions = [node.name for node in tree.body if isinstance(node, kinds)]
        assert name in functions, f"{path} has no {name}"


def test_all_ten_of_the_list_are_there() -> None:
    """OWASP's API Security Top 10 of 2023."""
    told = {number for row in ROWS for number in re.findall(r"API\d+", row.split("|")[1])}
    assert told == {f"API{number}" for number in range(1, 11)}


def requests_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema that a JSON body is made of, by name."""
    schemas = document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {})
            for name in re.findall(r"schemas/(\w+)", str(content.get("application/json"))):
                yield name, schemas[name]


def unbounded(schema: dict[str, Any]) -> Iterator[str]:
    """What in it has no end."""
    for choice in schema.get("anyOf", ()):
        yield from unbounded(choice)
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum", "const"}:
        yield "string"
    if kind in ("integer", "number") and "maximum" not in schema:
        yield str(kind)
    if kind == "array":
        yield from ("array",) if "maxItems" not in schema else unbounded(schema["items"])
    if kind == "object" and "maxProperties" not in schema:
        yield "object"


def test_requests_are_strict_and_bounded() -> None:
    """No unknown field is taken, and everything that is taken has a largest size."""
    found = dict(requests_of(create_app().openapi()))
    assert {
        "ProcessRequest", "SearchRequest", "RetryRequest", "ResumeRequest", "ProviderPauseRequest",
    } == set(found)  # fmt: skip
    for name, schema in found.items():
        assert schema["additionalProperties"] is False, name
        for field, told in schema["properties"].items():
            assert not list(unbounded(told)), f"{name}.{field}"
        assert not {"tenant", "account", "url", "endpoint", "base_url", "host"} & set(schema["properties"])


def test_every_route_is_described() -> None:
    """In the document that `/openapi.json` gives."""
    paths = create_app().openapi()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    there = {(method, route.path) for route in routes() for method in route.methods or ()}
    assert not there - described


@pytest.mark.anyio
@pytest.mark.parametrize(("scheme", "told"), [("http", None), ("https", "max-age=31536000")])
async def test_only_behind_tls_browsers_are_told_to_stay_there(scheme: str, told: str | None) -> None:
    """Over plain HTTP the header means nothing; a proxy that is trusted tells the scheme."""
    door = httpx2.ASGITransport(app=create_app())
    async with httpx2.AsyncClient(transport=door, base_url=f"{scheme}://service") as client:
        for path in ("/livez", "/nothing"):
            assert (await client.get(path)).headers.get("strict-transport-security") == told


def test_celery_takes_json_only() -> None:
    """A pickle in a message would run as code."""
    assert celery.conf.accept_content == ["json"]
    assert celery.conf.task_serializer == celery.conf.result_serializer == "json"
