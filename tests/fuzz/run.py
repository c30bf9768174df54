"""schemathesis against the service as a process of its own: every route, and chains of them."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.http_service import ROOT, serve, uvicorn

SEED = 20_260_101
ALL = "examples,coverage,fuzzing,stateful"
"""Of schemathesis. The first two go through the description, and take a minute whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Report:
    """What schemathesis said in the end; `clean` when it found nothing."""

    clean: bool
    said: str


def fuzz(folder: Path, environment: str, examples: int, seed: int = SEED, phases: str = ALL) -> Report:
    """Serve in `folder` under that ENVIRONMENT, and ask so many examples of each route and chain.

    What schemathesis leaves out is in `schemathesis.toml`.
    """
    key = secrets.token_hex(24)
    settings = {"API_KEYS": key, "LOCAL_FILES_DIR": str(ROOT / "test_data" / "csv_files")}
    if environment:
        settings["ENVIRONMENT"] = environment
    with serve(uvicorn(), folder, **settings) as service:
        service.client().get("/livez").raise_for_status()
        return _asked(service.url, key, folder, examples, seed, phases)


def _asked(url: str, key: str, folder: Path, examples: int, seed: int, phases: str) -> Report:
    options: Mapping[str, str] = {
        "--header": f"X-API-Key: {key}",
        "--max-examples": str(examples),
        "--seed": str(seed),
        "--phases": phases,
        "--generation-database": "none",
        "--request-timeout": "60",
    }
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(ROOT / "schemathesis.toml"),
        "run",
    ]
    command += [f"{url}/openapi.json", "--no-color", *(part for pair in options.items() for part in pair)]
    run = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Report(run.returncode == 0, run.stdout)
