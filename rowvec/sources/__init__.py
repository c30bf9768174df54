"""The table of sources: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "local": Backend("rowvec.sources.local:LocalSource"),
    "metabase": Backend("rowvec.sources.metabase:MetabaseSource"),
    "s3": Backend("rowvec.sources.s3:S3Source"),
    "upload": Backend("rowvec.sources.upload:UploadSource"),
}
