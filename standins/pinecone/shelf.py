"""Where vectors and metadata lie until somebody reads them again: a file without a name."""

from __future__ import annotations

import os
import tempfile


class Shelf:
    """Append only; what is replaced stays until the shelf is closed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the shelf
        self.size = 0

    def put(self, data: bytes | memoryview) -> int:
        """Where it lies now."""
        at = self.size
        self._file.write(data)
        self.size += memoryview(data).nbytes
        return at

    def get(self, at: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, at)

    def close(self) -> None:
        self._file.close()
