"""The service as a process of its own, for as long as the demo lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx2

from app.config import Settings, is_setting
from app.credentials import VARIABLE
from rowvec.errors import RowvecError

HOST = "127.0.0.1"
START_WITHIN = 60.0
STOP_WITHIN = 45.0
ROOT = Path(__file__).resolve().parents[2]


class DemoFailed(RowvecError):
    """A step of the demo did not do what it should."""

    code = "demo-failed"


class Service:
    """A context manager: the process ends with it, whatever happens inside.

    Whatever the settings name, it runs on its embedded parts alone: it works in a folder without a `.env`,
    and sees none of the environment that is a setting. The API key is written nowhere.
    """

    def __init__(self, config: Settings, key: str) -> None:
        self.url = f"http://{HOST}:{config.port}"
        self.log = config.data / "demo" / "service.log"
        self._port = config.port
        own = {
            "API_KEYS": key,
            "DATA_DIR": str(config.data),
            "MIN_FREE_BYTES": str(config.min_free_bytes),
            "PYTHONPATH": str(ROOT),
        }
        self._environment = {
            name: v for name, v in os.environ.items() if name != VARIABLE and not is_setting(name)
        } | own

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "uvicorn", "app.main:app", "--host", HOST, "--port", str(self._port)]
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the demo alone, which then stops the service in order.
            self._process = subprocess.Popen(
                command, cwd=self.log.parent, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> None:
        """Raises DemoFailed when the service ends instead, or takes too long."""
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DemoFailed(f"The service ended before it was ready. {self._last_words()}")
            try:
                if httpx2.get(f"{self.url}/livez", timeout=2.0).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.1)
        raise DemoFailed(f"The service was not ready within {START_WITHIN:.0f} s. {self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"Its log is {self.log}" + (f" and ends with: {lines[-1][:400]}" if lines else " (empty).")
