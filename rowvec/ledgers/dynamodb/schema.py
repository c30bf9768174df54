"""The table: its keys and indexes, how it is created, and what to say where it cannot be."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from rowvec.errors import CredentialsRefused, NotConfigured, Unavailable
from rowvec.ledgers.dynamodb.words import code_of, is_refusal

INDEXES = ("by_state", "by_lease", "by_shelf")
"""Sort keys within one partition. Local indexes, since only those can be read consistently."""

_BETWEEN_LOOKS = 0.5
_PATIENCE = 60.0


def definition(name: str) -> dict[str, Any]:
    """What CreateTable is asked for."""
    attributes = ("pk", "sk", *INDEXES)
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": "S"} for a in attributes],
        "KeySchema": _keys("sk"),
        "LocalSecondaryIndexes": [
            {"IndexName": index, "KeySchema": _keys(index), "Projection": {"ProjectionType": "ALL"}}
            for index in INDEXES
        ],
    }


def _keys(sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def create(client: Any, name: str) -> None:
    """Create the table unless it is there, and wait until it can be used; others may do so at once.

    Raises CredentialsRefused with what to create, NotConfigured where another program's table has the name.
    """
    found = _look(client, name)
    if found is None:
        _ask_for(client, name)
        found = _look(client, name)
    give_up_at = time.monotonic() + _PATIENCE
    while found is None or found["TableStatus"] == "CREATING":
        if time.monotonic() > give_up_at:
            raise Unavailable(f"The ledger's table '{name}' is still being created. Try again in a minute.")
        time.sleep(_BETWEEN_LOOKS)
        found = _look(client, name)
    _check(found, name)


def _look(client: Any, name: str) -> Mapping[str, Any] | None:
    try:
        described: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise
    return described


def _ask_for(client: Any, name: str) -> None:
    try:
        client.create_table(**definition(name))
    except ClientError as error:
        if code_of(error) == "ResourceInUseException":
            return  # another process was faster
        if is_refusal(error):
            raise CredentialsRefused(
                f"The ledger's table '{name}' is not there, and these keys may not create it. Create it, "
                f"then start again: {command(name)}"
            ) from error
        raise


def command(name: str) -> str:
    """How a person creates the table."""
    return f"aws dynamodb create-table --cli-input-json '{json.dumps(definition(name))}'"


def _check(found: Mapping[str, Any], name: str) -> None:
    indexes = {index["IndexName"] for index in found.get("LocalSecondaryIndexes", ())}
    if _sorted(found["KeySchema"]) != _sorted(_keys("sk")) or not indexes.issuperset(INDEXES):
        raise NotConfigured(
            f"The table '{name}' is not a ledger's: its keys or local indexes are others, and cannot be "
            "added. Name another one in LEDGER_URL."
        )


def _sorted(schema: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return sorted((key["KeyType"], key["AttributeName"]) for key in schema)
