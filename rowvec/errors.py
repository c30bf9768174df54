"""Every error of the machine, and what it means for the work.

    RowvecError
    ├── RetryLater              try the same call again, after `retry_after` seconds when given
    │   ├── RateLimited         everyone waits together; the rows stay batched
    │   └── Unavailable         a part does not answer, times out, or cuts its reply short
    │       └── Unusable        it answers, and not what was asked; due to one input alone: reject that row
    │           └── OtherDimension  vectors of another dimension; whatever is asked: the settings are wrong
    ├── PauseNeeded             a person has to act; the task waits, and resumes without loss
    │   ├── CredentialsRefused  wrong key, wrong region, no permission
    │   ├── QuotaExhausted      the account has no money or no units left
    │   ├── ProviderPaused      a person has paused all calls to it; the work is handed back until then
    │   ├── BudgetReached       the task, or the key's day, has spent what it may
    │   └── DiskLow             the data folder is nearly full
    ├── InputRefused            the provider refuses one of these inputs; bisect, reject that row
    │   └── RequestTooLarge     it refuses them for being too much together; halve
    ├── TaskFailed              this task can never succeed as it was submitted
    │   ├── SourceChanged       the source is not what was pinned
    │   ├── SourceDamaged       the source cannot be read as a table
    │   └── StoreMismatch       the vector store cannot hold these vectors
    ├── LeaseLost               another worker holds this work now; drop it without a trace
    └── RequestRefused          what the caller asked for cannot be done; nothing was changed
        ├── SourceNotFound      no such file, upload or question
        ├── SourceForbidden     the path leaves the folder it must stay in
        ├── InvalidRequest      a field is wrong; `field` names it
        ├── NotConfigured       this part has no settings
        ├── UnknownTask         no task of that id
        ├── UnknownKey          no API key of that id
        ├── WrongState          the task's state does not allow it
        ├── NamespaceTaken      the namespace was filled by another model
        ├── NotAllowed          the API key does not allow it: its scope, namespaces or sources
        ├── LimitReached        the API key has used what it may for now; ask again after `retry_after`
        └── IdempotencyConflict the same idempotency key came with another request

A message says what is wrong, where, and what to do, in the caller's terms.
"""

from __future__ import annotations


class RowvecError(Exception):
    """Root of the tree. `code` is the stable, kebab-case name callers may rely on."""

    code = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetryLater(RowvecError):
    code = "retry-later"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(RetryLater):
    code = "rate-limited"


class Unavailable(RetryLater):
    code = "unavailable"


class Unusable(Unavailable):
    code = "unusable"


class OtherDimension(Unusable):
    code = "other-dimension"


class PauseNeeded(RowvecError):
    code = "pause-needed"


class CredentialsRefused(PauseNeeded):
    code = "credentials-refused"


class QuotaExhausted(PauseNeeded):
    code = "quota-exhausted"


class ProviderPaused(PauseNeeded):
    code = "provider-paused"


class BudgetReached(PauseNeeded):
    code = "budget-reached"


class DiskLow(PauseNeeded):
    code = "disk-low"


class InputRefused(RowvecError):
    code = "input-refused"


class RequestTooLarge(InputRefused):
    code = "request-too-large"


class TaskFailed(RowvecError):
    code = "task-failed"


class SourceChanged(TaskFailed):
    code = "source-changed"


class SourceDamaged(TaskFailed):
    code = "source-damaged"


class StoreMismatch(TaskFailed):
    code = "store-mismatch"


class LeaseLost(RowvecError):
    code = "lease-lost"


class RequestRefused(RowvecError):
    code = "request-refused"


class SourceNotFound(RequestRefused):
    code = "source-not-found"


class SourceForbidden(RequestRefused):
    code = "source-forbidden"


class InvalidRequest(RequestRefused):
    code = "invalid-request"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotConfigured(RequestRefused):
    code = "not-configured"


class UnknownTask(RequestRefused):
    code = "unknown-task"


class UnknownKey(RequestRefused):
    code = "unknown-key"


class WrongState(RequestRefused):
    code = "wrong-state"


class NamespaceTaken(RequestRefused):
    code = "namespace-taken"


class NotAllowed(RequestRefused):
    code = "not-allowed"


class LimitReached(RequestRefused):
    code = "limit-reached"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IdempotencyConflict(RequestRefused):
    code = "idempotency-conflict"
