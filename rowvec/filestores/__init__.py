"""The table of file stores: one lazy line a backend."""

from rowvec.backends import Backend

TABLE = {
    "file": Backend("rowvec.filestores.folder:FolderStore"),
    "s3": Backend("rowvec.filestores.s3:S3Store"),
}
