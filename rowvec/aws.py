"""Who this service is to AWS: its region and its keys, from the settings and from where AWS keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import botocore.session
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from obstore.store import S3Credential

DEFAULT_REGION = "us-east-1"
_FRESH = timedelta(minutes=9)
"""How long keys are used before botocore is asked again; it renews those with less than 10 minutes left."""


class NoCredentials(Exception):
    """Nothing in the whole chain gave keys; the message says what to do."""


class Chain:
    """The keys that the settings name, else those of AWS's own chain.

    That is the environment, a profile (`AWS_PROFILE`, with roles and SSO), a container's and an instance's
    role, in this order, as botocore follows it and renews what ends. Looking for a role asks the network, so
    it is done in a thread, and once.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._found: Credentials | None = None

    async def __call__(self) -> S3Credential:
        """Raises NoCredentials, in words."""
        return await asyncio.to_thread(self._keys)

    def _keys(self) -> S3Credential:
        try:
            self._found = self._found or self._resolved()
            keys = self._found.get_frozen_credentials()
        except BotoCoreError as error:
            raise NoCredentials(str(error)) from error
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + _FRESH,
        }

    def _resolved(self) -> Credentials:
        given = self._settings
        if given.get("AWS_ACCESS_KEY_ID"):
            return Credentials(
                given["AWS_ACCESS_KEY_ID"],
                given.get("AWS_SECRET_ACCESS_KEY", ""),
                given.get("AWS_SESSION_TOKEN"),
            )
        found = _session(given).get_credentials()
        if found is None:
            raise NoCredentials(
                "there are no AWS keys in the settings, the profile or the instance's role. Set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the instance a role"
            )
        return found


def region(settings: Mapping[str, str]) -> str:
    """`AWS_REGION`, else `AWS_DEFAULT_REGION`, else that of the profile, else us-east-1."""
    named = settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION")
    if named:
        return named
    try:
        return _session(settings).get_config_variable("region") or DEFAULT_REGION
    except BotoCoreError:  # a profile that is not there; whoever asks for its keys is told
        return DEFAULT_REGION


def _session(settings: Mapping[str, str]) -> botocore.session.Session:
    return botocore.session.Session(profile=settings.get("AWS_PROFILE") or None)
