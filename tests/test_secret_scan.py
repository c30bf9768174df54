"""The scan for secrets of `make check`: it finds what it is for, and the repository has none."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha512
from pathlib import Path

import pytest

from scripts.check_secrets import findings

ROOT = Path(__file__).parent.parent
HEX = sha512(b"no secret").hexdigest()[:80]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"KEY = 'vdb_live_{HEX[:12]}_{HEX[:64]}_{HEX[:8]}'", "a key of this service"),
        (f"OPENAI_API_KEY=sk-proj-{HEX}", "an OpenAI key"),
        (f"pinecone: pcsk_{HEX[:6]}_{HEX}", "a Pinecone key"),
        (f"METABASE_API_KEY=mb_{HEX}", "a Metabase key"),
        ("aws_access_key_id = AKIA" + "Q7RZ" * 4, "an AWS key id"),
        (f"AWS_SECRET_ACCESS_KEY={HEX[:40]}", "an AWS secret key"),
        (f"token ghp_{HEX[:36]}", "a GitHub token"),
        ("-----BEGIN " + "RSA PRIVATE KEY-----", "a private key"),
        (f"LEDGER_URL=postgresql://me:{HEX}@host/db", "a password in an address"),
        (f"BROKER_URL=redis://:{HEX}@host/0", "a password in an address"),
    ],
)
def test_secrets_are_found(line: str, kind: str) -> None:
    """Each by its line and its kind, which do not repeat it."""
    found = list(findings(f"first line\n{line}\n"))
    assert (2, kind) in found
    assert HEX[:20] not in str(found)


@pytest.mark.parametrize(
    "line", ["OPENAI_API_KEY=sk-…", "sk-production-0123456789abcdef", "postgresql://user:pass@host/db", HEX]
)
def test_what_only_stands_for_one_is_passed(line: str) -> None:
    """Placeholders, short passwords of examples, and hashes."""
    assert not list(findings(line))


def test_the_repository_has_none() -> None:
    """As `make check` looks for them."""
    run = subprocess.run(
        [sys.executable, "scripts/check_secrets.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
