"""Files that callers have sent in, kept in the file store."""

from __future__ import annotations

from rowvec.sources.stored import StoredSource
from rowvec.uploads import is_upload_id, upload_name


class UploadSource(StoredSource):
    """Uploads by their ids."""

    kind = "upload"
    noun = "upload"

    def name_of(self, ref: str) -> str | None:
        return upload_name(ref) if is_upload_id(ref) else None
