"""What DynamoDB and its client say, in our terms: the only place that knows their codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from rowvec.errors import CredentialsRefused, QuotaExhausted, RateLimited, RowvecError, Unavailable

_CONFLICTS = {
    "ConditionalCheckFailed",
    "ConditionalCheckFailedException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_THROTTLED = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
}
_REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
}
_NO_KEYS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
_FULL = {"ItemCollectionSizeLimitExceeded", "ItemCollectionSizeLimitExceededException"}
_MISSING = "ResourceNotFoundException"


class Conflict(Exception):
    """Somebody else wrote what this transaction has read: read it anew and try again."""


class Unanswered(Unavailable):
    """Nobody knows whether it was written: an answer was lost, and the repetition met other values."""


@contextmanager
def in_words(table: str, region: str) -> Iterator[None]:
    """Raises Conflict, RateLimited, Unavailable or CredentialsRefused; our own mistakes stay as they are."""
    where = f"The ledger's table '{table}' in {region}"
    try:
        yield
    except ClientError as error:
        raise _meaning(error, where) from error
    except _NO_KEYS as error:
        raise CredentialsRefused(
            f"{where} cannot be asked: there are no usable AWS keys ({type(error).__name__}). Set "
            "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role; then "
            "resume."
        ) from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable(
            f"{where} does not answer ({type(error).__name__}). Check the network and AWS_ENDPOINT_URL."
        ) from error


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _meaning(error: ClientError, where: str) -> Exception:
    codes = {code_of(error)} | _reasons(error)
    if codes & _THROTTLED:
        return RateLimited(f"{where} is asked more than it allows for. The same call is tried again later.")
    if codes & _CONFLICTS:
        # What is in the way may be this very write: where its answer was lost, the client sent it again. (By
        # its token DynamoDB knows a repeated transaction, and answers it as the first.)
        again = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        return (
            Unanswered(f"{where} was too slow to say whether it was done.") if again else Conflict(str(codes))
        )
    if codes & _FULL:
        return QuotaExhausted(
            f"{where} holds 10 GB of one task or of the list of tasks, which is as much as DynamoDB keeps "
            "beside a local index. Name a new table in LEDGER_URL."
        )
    return _refusal(error, where) or error


def _refusal(error: ClientError, where: str) -> RowvecError | None:
    code, status = code_of(error), _status(error)
    if is_refusal(error):
        return CredentialsRefused(
            f"{where} refuses {error.operation_name} ({code}). Check the keys or role, the region, and that "
            "it may do what docs/operations.md lists; then resume."
        )
    if code == _MISSING:
        return Unavailable(
            f"{where} is not there. Check LEDGER_URL and AWS_REGION; the service creates it when it starts, "
            "where it may."
        )
    if status >= 500:
        return Unavailable(f"{where} does not answer ({code or status}). The same call is tried again later.")
    return None


def is_refusal(error: ClientError) -> bool:
    return code_of(error) in _REFUSED or _status(error) in (401, 403)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _reasons(error: ClientError) -> set[str]:
    """Why each action of a transaction was refused, where that is what the error is about."""
    return {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())}
