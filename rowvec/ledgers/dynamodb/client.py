"""The way to DynamoDB: whose keys, which region, how long to wait, how often to ask again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config

from rowvec.aws import region

THREADS = 16
_TRIES = 3
"""Of one request, the first included. A transaction that is sent again carries the same token, and is not
done twice (DynamoDB keeps tokens for ten minutes)."""

_making = threading.Lock()


def connect(settings: Mapping[str, str]) -> Any:
    """A client, safe to share between threads. Looking for an instance's role may ask the network."""
    with _making:
        return _session(settings.get("AWS_PROFILE") or None).client(
            "dynamodb",
            region_name=region(settings),
            endpoint_url=_endpoint(settings),
            config=Config(
                connect_timeout=3,
                read_timeout=5,
                max_pool_connections=THREADS,
                # The service checks arguments, too; here that was 9 of 15 ms of a transaction of 90 writes.
                parameter_validation=False,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
            ),
            **_keys(settings),
        )


def _endpoint(settings: Mapping[str, str]) -> str | None:
    """As AWS's own tools have it, DynamoDB may have another address than the rest."""
    return settings.get("AWS_ENDPOINT_URL_DYNAMODB") or settings.get("AWS_ENDPOINT_URL") or None


def _keys(settings: Mapping[str, str]) -> dict[str, str | None]:
    """Those of the settings; without them boto3 follows AWS's own chain."""
    if not settings.get("AWS_ACCESS_KEY_ID"):
        return {}
    return {
        "aws_access_key_id": settings["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": settings.get("AWS_SECRET_ACCESS_KEY", ""),
        "aws_session_token": settings.get("AWS_SESSION_TOKEN"),
    }


@lru_cache(maxsize=4)
def _session(profile: str | None) -> boto3.session.Session:
    """Kept, since the description of the service takes long to load; not itself safe between threads."""
    return boto3.session.Session(profile_name=profile)
