"""`make audit` against an advisory service of our own, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.servers.answering import answering

ROOT = Path(__file__).parent.parent


class Advisories(BaseHTTPRequestHandler):
    """Knows something about one package."""

    about = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
        found = [{"vulns": [{"id": "GHSA-1"}]} if q["package"]["name"] == self.about else {} for q in asked]
        body = json.dumps({"results": found}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with answering(Advisories) as address:
        yield f"{address}/v1/querybatch"


def audit(service: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/audit.py", service]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"no_proxy": "127.0.0.1"})


@pytest.mark.parametrize(("about", "code"), [("nothing of ours", 0), ("fastapi", 1)])
def test_advisories_about_pins_are_listed(service: str, about: str, code: int) -> None:
    """Each with the version that is pinned; without any the number of pins is told."""
    Advisories.about = about
    run = audit(service)
    assert run.returncode == code
    assert ("GHSA-1" in run.stdout) is bool(code)
    assert f"{code} advisories about" in run.stdout


def test_no_service_is_no_good_news() -> None:
    """Nothing is known then, and that is said, with another code than that of a clean audit."""
    run = audit("http://127.0.0.1:1/v1/querybatch")
    assert run.returncode == 2
    assert "nothing is known" in run.stderr
