"""Is there a secret in a tracked file? Needs no network.

Looks for what keys of this service and of its providers look like, for private keys, and for passwords in
addresses. What only stands for a secret, in a test or an example, says so in itself (EXAMPLES).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LOOKS = {
    "a key of this service": r"vdb_live_[0-9a-f]{12}_[0-9a-f]{64}_[0-9a-f]{8}",
    "an OpenAI key": r"\bsk-(?:proj-)?[A-Za-z0-9_-]{32,}",
    "a Pinecone key": r"\bpcsk_[A-Za-z0-9]{4,}_[A-Za-z0-9]{20,}",
    "a Metabase key": r"\bmb_[A-Za-z0-9+/]{32,}=*",
    "an AWS key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i:aws_secret_access_key)\W{1,4}([A-Za-z0-9/+]{40})\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "a password in an address": r"\b[a-z+]{4,12}://[^\s:/@'\"{}<>$]*:([^\s/@'\"{}<>$]{12,})@",
}
EXAMPLES = re.compile(
    r"(?i)example|standin|stand-in|nobody|canary|0123456789|secret|password|hunter2|…|\.\.\.|xxxx"
)
"""What says of itself that it is none; where a look has a group, only that is asked."""


def findings(text: str) -> Iterator[tuple[int, str]]:
    """Line and kind of each. The secret itself is not repeated."""
    for number, line in enumerate(text.splitlines(), 1):
        for kind, look in LOOKS.items():
            if any(not EXAMPLES.search(match[match.lastindex or 0]) for match in re.finditer(look, line)):
                yield number, kind


def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    return [root / name for name in listed.decode().split("\0") if name]


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    wrong = [
        f"{path.relative_to(root)}:{number}: {kind}"
        for path in tracked(root)
        if path.is_file()
        for number, kind in findings(path.read_text(errors="replace"))
    ]
    if wrong:
        sys.exit("\n".join(["error: secrets in tracked files; take them out and revoke them:", *wrong]))


if __name__ == "__main__":
    main()
