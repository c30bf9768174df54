"""What callers sent in, by ids: each is one file of the file store, written once and never changed."""

from __future__ import annotations

import re
import uuid

FOLDER = "uploads/"
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def new_upload_id(tenant: str = "") -> str:
    """The id tells whose the upload is, so that nothing else has to."""
    return f"{tenant}-{uuid.uuid4().hex}" if tenant else uuid.uuid4().hex


def tenant_of(upload_id: str) -> str:
    """Empty: the operator's."""
    return upload_id.rpartition("-")[0]


def is_upload_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def upload_name(upload_id: str) -> str:
    """The file's name in the file store."""
    return f"{FOLDER}{upload_id}.csv"
