"""The table of sources: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "local": Backend("rowvec.sources.local:LocalSource"),
    "upload": Backend("rowvec.sources.upload:UploadSource"),
}
