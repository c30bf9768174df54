"""What the DynamoDB ledger says when the table is away, full, slow or closed to it; answers that are lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from rowvec.api_key import ApiKey
from rowvec.errors import (
    CredentialsRefused,
    LeaseLost,
    QuotaExhausted,
    RateLimited,
    RowvecError,
    Unavailable,
)
from rowvec.ledgers.dynamodb import DynamoLedger
from rowvec.ledgers.dynamodb.words import Conflict, in_words
from rowvec.model import ChunkFiles, Flag, TaskState, WorkKind
from tests.contracts.dynamodb_audit import audit
from tests.contracts.ledger_kit import READ, new_table, number_of, planned_task, spec, worker
from tests.servers import moto as moto_server
from tests.servers.between import Between, Lose, Refuse, between
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio

TRIES = 3
"""How often the client asks before it gives up."""


@pytest.fixture
def wire(moto: Moto) -> Iterator[Between]:
    with between(moto.url) as there:
        yield there


@pytest.fixture
async def ledger(moto: Moto, wire: Between) -> AsyncIterator[DynamoLedger]:
    made = DynamoLedger(new_table(), {**moto.settings, "AWS_ENDPOINT_URL": wire.url}, busy_seconds=0.2)
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


# Answers that are lost


async def test_commit_whose_answer_was_lost(ledger: DynamoLedger, wire: Between) -> None:
    """It is counted once; who repeats it hears that the chunk is not held any more.

    DynamoDB knows the repetition by its token and answers it as the first; moto does not, and refuses it.
    """
    task = await planned_task(ledger, 2)
    (claim,) = await ledger.claim("w", 1)
    wire.next("TransactWriteItems", Lose())
    with pytest.raises(Unavailable, match="whether it was done"):
        await ledger.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    with pytest.raises(LeaseLost):
        await ledger.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    after = await ledger.task(task.id)
    assert (after.counts, after.chunks_done) == (READ, 1)
    tokens = {call["ClientRequestToken"] for call in wire.asked["TransactWriteItems"][-TRIES + 1 :]}
    assert len(tokens) == 1
    audit(ledger)


async def test_commit_that_never_arrived(ledger: DynamoLedger, wire: Between) -> None:
    """A commit that was refused three times can be repeated, and is counted once."""
    task = await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    wire.next("TransactWriteItems", *[Refuse("InternalServerError", 500)] * TRIES)
    with pytest.raises(Unavailable):
        await ledger.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    await ledger.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    assert (await ledger.task(task.id)).counts == READ


@pytest.mark.parametrize("lost", [[Lose()], [Lose(), *[Refuse("InternalServerError", 500)] * (TRIES - 1)]])
async def test_claim_whose_answer_was_lost(
    ledger: DynamoLedger, wire: Between, lost: list[Lose | Refuse]
) -> None:
    """The worker's next claim begins with what it was given without hearing so."""
    await planned_task(ledger, 5)
    waiting = (await ledger.submit(spec("waiting"))).task
    wire.next("TransactWriteItems", *lost)
    with pytest.raises(Unavailable):
        await ledger.claim("w", 3)
    claims = await ledger.claim("w", 3)
    assert [claim.kind for claim in claims] == [WorkKind.PLAN, WorkKind.CHUNK, WorkKind.CHUNK]
    assert claims[0].task.id == waiting.id
    assert [number_of(claim) for claim in claims[1:]] == [0, 1]
    assert all([await ledger.holds("w", claim) for claim in claims])
    assert [number_of(claim) for claim in await ledger.claim("w", 9)] == [2, 3, 4]
    audit(ledger)


async def test_claim_that_never_arrived(ledger: DynamoLedger, wire: Between) -> None:
    """What was not given is given by the next claim, once."""
    await planned_task(ledger, 2)
    wire.next("TransactWriteItems", *[Refuse("InternalServerError", 500)] * TRIES)
    with pytest.raises(Unavailable):
        await ledger.claim("w", 1)
    assert [number_of(claim) for claim in await ledger.claim("w", 5)] == [0, 1]


async def test_other_writes_whose_answers_were_lost(ledger: DynamoLedger, wire: Between) -> None:
    """A submission, a wish and a beat that are repeated change nothing a second time."""
    wire.next("TransactWriteItems", Lose())
    with pytest.raises(Unavailable):
        await ledger.submit(spec(), "k")
    again = await ledger.submit(spec(), "k")
    assert (again.fresh, len((await ledger.tasks()).tasks)) == (False, 1)
    wire.next("TransactWriteItems", Lose())
    with pytest.raises(Unavailable):
        await ledger.flag(again.task.id, Flag.CANCEL)
    assert (await ledger.flag(again.task.id, Flag.CANCEL)).state is TaskState.CANCELLED
    wire.next("PutItem", Lose())
    with pytest.raises(Unavailable):
        await ledger.beat("w", 1)
    assert await ledger.beat("w", 1)
    audit(ledger)


# Refusals in words


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("ThrottlingException", 400, RateLimited),
        ("ProvisionedThroughputExceededException", 400, RateLimited),
        ("RequestLimitExceeded", 400, RateLimited),
        ("InternalServerError", 500, Unavailable),
        ("ServiceUnavailable", 503, Unavailable),
        ("UnrecognizedClientException", 400, CredentialsRefused),
        ("AccessDeniedException", 400, CredentialsRefused),
        ("ExpiredTokenException", 400, CredentialsRefused),
        ("ResourceNotFoundException", 400, Unavailable),
    ],
)
async def test_errors_of_the_service(
    ledger: DynamoLedger, wire: Between, code: str, status: int, meaning: type[RowvecError]
) -> None:
    """Each says what it means for the work, names the table, and is asked about three times at most."""
    wire.forget()
    wire.next("GetItem", *[Refuse(code, status)] * TRIES)
    with pytest.raises(meaning, match=f"table '{ledger._table.name}' in us-east-1"):
        await ledger.ping()
    assert len(wire.asked["GetItem"]) == (1 if status == 400 and meaning is not RateLimited else TRIES)


@pytest.mark.parametrize(
    ("reasons", "meaning"),
    [
        (["None", "ThrottlingError"], RateLimited),
        (["ProvisionedThroughputExceeded", "ConditionalCheckFailed"], RateLimited),
        (["None", "ItemCollectionSizeLimitExceeded"], QuotaExhausted),
        (["None", "TransactionConflict"], Conflict),
        (["ConditionalCheckFailed"], Conflict),
        (["ValidationError"], ClientError),
    ],
)
async def test_transactions_that_are_cancelled(reasons: list[str], meaning: type[Exception]) -> None:
    """The reasons of its parts say what it means for the whole; a mistake of ours stays as it is."""
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    with pytest.raises(meaning), in_words("t", "r"):
        raise ClientError(answer, "TransactWriteItems")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ReadTimeoutError(endpoint_url="http://x"), Unavailable),
        (ConnectTimeoutError(endpoint_url="http://x"), Unavailable),
        (EndpointConnectionError(endpoint_url="http://x"), Unavailable),
        (ConnectionClosedError(endpoint_url="http://x"), Unavailable),
        (NoCredentialsError(), CredentialsRefused),
        (ProfileNotFound(profile="p"), CredentialsRefused),
    ],
)
async def test_errors_of_the_client(error: BotoCoreError, meaning: type[RowvecError]) -> None:
    """Time-outs, cut connections and missing keys have their meaning too."""
    with pytest.raises(meaning), in_words("t", "r"):
        raise error


async def test_written_by_too_many(ledger: DynamoLedger, wire: Between) -> None:
    """A write that always comes too late gives up after its time, in words, and leaves nothing."""
    wire.next("TransactWriteItems", *[Refuse("TransactionConflictException")] * 500)
    with pytest.raises(Unavailable, match="too many at once"):
        await ledger.submit(spec())
    assert (await ledger.tasks()).tasks == []


async def test_nobody_listens() -> None:
    """A server that is not there is Unavailable, in words, also while getting ready."""
    settings = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    ledger = DynamoLedger("dynamodb://nowhere", settings)
    for call in (ledger.ready, ledger.ping):
        with pytest.raises(Unavailable, match="'nowhere' in us-east-1 does not answer"):
            await call()
    await ledger.close()


async def test_a_table_that_is_missing(moto: Moto) -> None:
    """Reading and writing say that the table is not there and what to check."""
    ledger = DynamoLedger(new_table(), moto.settings)
    for call in (
        ledger.ping(),
        ledger.submit(spec()),
        ledger.add_key(ApiKey("a", "00", "k")),
        ledger.tasks(),
    ):
        with pytest.raises(Unavailable, match=r"is not there\. Check LEDGER_URL"):
            await call
    await ledger.close()


# Keys


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """A server that looks at keys and policies."""
    with moto_server.running(tmp_path_factory.mktemp("guarded")) as server:
        yield server


def keys_that_may(server: Moto, *actions: str) -> Mapping[str, str]:
    """The settings of a new user."""
    iam, name = server.client("iam"), new_table()[-16:]
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    httpx2.post(f"{server.url}/moto-api/reset-auth", content=b"0").raise_for_status()
    return {
        **server.settings,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture
def reader(guarded: Moto) -> Iterator[Mapping[str, str]]:
    """Keys that may look at tables, and nothing else."""
    yield keys_that_may(guarded, "dynamodb:DescribeTable")
    httpx2.post(f"{guarded.url}/moto-api/reset-auth", content=b"1e9").raise_for_status()


async def test_keys_that_are_refused(guarded: Moto, reader: Mapping[str, str]) -> None:
    """A wrong secret, an unknown key, a missing permission are CredentialsRefused, and no secret is told."""
    for changed in (
        {"AWS_SECRET_ACCESS_KEY": "wrong/secret+of/somebody"},
        {"AWS_ACCESS_KEY_ID": "AKIANOBODYNOBODYNOBO"},
        {},
    ):
        settings = {**reader, **changed}
        ledger = DynamoLedger("dynamodb://some-table", settings)
        with pytest.raises(CredentialsRefused, match="'some-table' in us-east-1 refuses GetItem") as caught:
            await ledger.ping()
        told = f"{caught.value!r} {caught.value} {ledger!r} {vars(ledger)}"
        assert settings["AWS_SECRET_ACCESS_KEY"] not in told
        await ledger.close()


async def test_keys_that_may_not_create(reader: Mapping[str, str]) -> None:
    """Where the table is missing and may not be created, the message is the command that creates it."""
    ledger = DynamoLedger("dynamodb://some-table", reader)
    with pytest.raises(CredentialsRefused, match=r"may not create it\..*aws dynamodb create-table") as caught:
        await ledger.ready()
    definition = json.loads(caught.value.message.partition("--cli-input-json '")[2].rpartition("'")[0])
    assert definition["TableName"] == "some-table"
    await ledger.close()


async def test_no_keys_at_all(moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is not there is refused in words when the ledger is used, not when it is opened."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    ledger = DynamoLedger("dynamodb://some-table", {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": moto.url})
    with pytest.raises(CredentialsRefused, match="no usable AWS keys"):
        await ledger.ping()
    await ledger.close()
