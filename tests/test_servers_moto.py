"""The server that stands in for S3 and DynamoDB is a real one, and leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.servers.moto import Moto

ROOT = Path(__file__).parent.parent
_STARTER = """
import os, sys
from pathlib import Path
from tests.servers.moto import running
with running(Path(sys.argv[1])) as moto:
    print(moto.url, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_it_serves_both(moto: Moto) -> None:
    """Objects and items that are put can be fetched."""
    bucket = moto.new_bucket()
    s3, dynamodb = moto.client("s3"), moto.client("dynamodb")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1234")
    assert s3.get_object(Bucket=bucket, Key="a", Range="bytes=1-2")["Body"].read() == b"23"
    dynamodb.create_table(
        TableName=bucket,
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName=bucket, Item={"k": {"S": "x"}})
    assert dynamodb.get_item(TableName=bucket, Key={"k": {"S": "x"}})["Item"] == {"k": {"S": "x"}}


def test_a_versioned_bucket_names_versions(moto: Moto) -> None:
    """Each object of a versioned bucket has its own version."""
    s3, bucket = moto.client("s3"), moto.new_bucket(versioned=True)
    versions = {s3.put_object(Bucket=bucket, Key="a", Body=b"x")["VersionId"] for _ in range(2)}
    assert len(versions) == 2


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Even one that is killed leaves no server."""
    killed = subprocess.run(
        [sys.executable, "-c", _STARTER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert killed.returncode == -9
    url = killed.stdout.strip()
    with pytest.raises(httpx2.TransportError):
        for _ in range(1000):
            httpx2.get(f"{url}/moto-api/data.json", timeout=60)


def test_a_transaction_that_is_cancelled_leaves_nothing(moto: Moto) -> None:
    """What it has updated, put and removed before the write that fails is as it was."""
    table, dynamodb = "transactions", moto.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("k", "r")],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}, {"AttributeName": "r", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    there = [{"k": {"S": "x"}, "r": {"S": name}, "n": {"N": "1"}} for name in ("a", "b")]
    for item in there:
        dynamodb.put_item(TableName=table, Item=item)
    one, other = ({"k": item["k"], "r": item["r"]} for item in there)
    more = {
        "UpdateExpression": "SET n = n + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    never = {"ConditionExpression": "attribute_exists(k)"}
    writes = [
        {"Update": {"TableName": table, "Key": one, **more}},
        {"Delete": {"TableName": table, "Key": other}},
        {"Put": {"TableName": table, "Item": {"k": {"S": "y"}, "r": {"S": "a"}}}},
        {"Put": {"TableName": table, "Item": {"k": {"S": "z"}, "r": {"S": "a"}}, **never}},
    ]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=writes)
    assert dynamodb.scan(TableName=table)["Items"] == there
    dynamodb.transact_write_items(TransactItems=writes[:3])
    assert [item.get("n") for item in dynamodb.scan(TableName=table)["Items"]] == [{"N": "2"}, None]
