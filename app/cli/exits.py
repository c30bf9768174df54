"""The exit codes, which are a promise, and what each error means for them."""

from __future__ import annotations

from enum import IntEnum

from rowvec.errors import (
    CredentialsRefused,
    QuotaExhausted,
    RequestRefused,
    RetryLater,
    RowvecError,
    SourceDamaged,
)


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    REJECTED = 3
    KEY_OR_QUOTA = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


MEANINGS: dict[type[RowvecError], Exit] = {
    RequestRefused: Exit.USAGE,
    SourceDamaged: Exit.USAGE,
    CredentialsRefused: Exit.KEY_OR_QUOTA,
    QuotaExhausted: Exit.KEY_OR_QUOTA,
    RetryLater: Exit.UNREACHABLE,
}


def exit_of(error: RowvecError) -> Exit:
    """The exit code of an error that ends a command."""
    return next((code for kind, code in MEANINGS.items() if isinstance(error, kind)), Exit.FAILED)
