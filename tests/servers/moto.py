"""A real moto server: S3 and DynamoDB over HTTP, in a process of its own that ends with the tests."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Moto:
    """Where it listens. Each test takes buckets and tables under names of its own, or resets it all."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """What a part needs to reach it, by the names of `.env.example` and of AWS; any key opens it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of `s3`, `dynamodb`, …, for a test to arrange and look at things with."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def new_bucket(self, versioned: bool = False) -> str:
        """The name of an empty bucket that nobody else uses."""
        name = f"test-{uuid.uuid4().hex[:16]}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def reset(self) -> None:
        """Forget all buckets, tables and items, of every test."""
        httpx2.post(f"{self.url}/moto-api/reset").raise_for_status()


@contextmanager
def running(folder: Path, address: str = "127.0.0.1") -> Iterator[Moto]:
    """A server until the block ends, at an address of this machine; what it says is in `folder`."""
    said = folder / "moto.txt"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.moto_program", address], cwd=ROOT,
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "50"},  # short pages, so that they are turned
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"moto did not start:\n{said.read_text()}")
            moto = Moto(f"http://{address}:{port}")
            httpx2.get(f"{moto.url}/moto-api/data.json", timeout=60).raise_for_status()
            yield moto
        finally:
            process.kill()  # also one that was stopped, which would hear of nothing else


@cache
def shared() -> Moto:
    """The one of this run of the tests, for what cannot ask for a fixture. Ends with it."""
    until_the_end = ExitStack()
    atexit.register(until_the_end.close)
    folder = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="moto-"))
    return until_the_end.enter_context(running(Path(folder)))


@pytest.fixture(scope="session")
def moto() -> Moto:
    """Started by the first test that asks for it."""
    return shared()
