"""API keys: their shape, what is refused, and whom they let in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import secrets
import string
import zlib

import pytest

from app.callers import Caller, Keyring
from app.keys import check_given, digest, first_key, make_key, mistyped, refusal
from rowvec.errors import NotConfigured
from rowvec.ledgers.memory import MemoryLedger
from rowvec.redaction import Redactor, secrets_in

pytestmark = pytest.mark.anyio

GIVEN = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"


def new_ledger() -> MemoryLedger:
    return MemoryLedger.open("memory", {})


def test_a_new_key_has_the_promised_shape() -> None:
    """`vdb_live_<id>_<secret>_<crc>` with 256 random bits, and only its hash in the stored record."""
    stored, key = make_key("mine", 5.0)
    vdb, live, key_id, secret, crc = key.split("_")
    assert (vdb, live, key_id, len(secret), len(crc)) == ("vdb", "live", stored.id, 64, 8)
    assert stored.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert secret not in repr(stored)
    assert refusal(key) is None


def test_every_single_typo_is_noticed_without_a_look_up() -> None:
    """One changed, missing or added character makes the checksum fail."""
    _, key = make_key("mine", 0.0)
    assert not mistyped(key)
    for place in range(len("vdb_live_"), len(key)):
        other = "0" if key[place] != "0" else "1"
        assert mistyped(key[:place] + other + key[place + 1 :])
        assert mistyped(key[:place] + key[place + 1 :])
    assert mistyped(key + "0")
    assert not mistyped(GIVEN)


@pytest.mark.parametrize(
    "key",
    [
        "short",
        GIVEN[:31],
        "your-api-key-your-api-key-goes-in-here",
        "YOUR_API_KEY_YOUR_API_KEY_GOES_IN_HERE_PLEASE",
        "changeme-8f3kd02ld93kfp20sl3kf94jg83kd",
        "please-change-me-8f3kd02ld93kfp20sl3kf9",
        "<an API key stood here, thirty-two or more>",
        "<8f3kd02ld93kfp20sl3kf94jg83kd02ld93kf>",
        "sk-xxxx-8f3kd02ld93kfp20sl3kf94jg83kd0",
        "sk_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "8f3kd02ld93kfp20sl3kf94jg-placeholder",
        "my-super-secret-key-for-this-service-1",
        "example-8f3kd02ld93kfp20sl3kf94jg83kd0",
        "a" * 40,
        "ab" * 20,
        "0123456789" * 4,
        "8f3kd02ld93kfp20" * 3,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "${API_KEY_OF_THIS_SERVICE_FROM_VAULT}",
        GIVEN + " with a space",
        GIVEN + "é",
        "",
    ],
)
def test_what_is_no_secret_is_refused(key: str) -> None:
    """Short keys, placeholders, patterns and what no header can carry; the words never repeat the key."""
    why = refusal(key)
    assert why is not None
    assert len(key) < 6 or key not in why


def test_a_published_key_is_refused_however_good_it_looks() -> None:
    """A key whose hash is on the list of published ones is refused; the same key off the list is not."""
    assert refusal(GIVEN) is None
    assert "published" in (refusal(GIVEN, frozenset({digest(GIVEN)})) or "")


def test_random_keys_are_never_taken_for_placeholders() -> None:
    """Twenty thousand random keys of the usual alphabets pass."""
    dice = random.Random(20261123)
    alphabets = ["0123456789abcdef", string.ascii_letters + string.digits]
    for turn in range(10_000):
        assert refusal("".join(dice.choices(alphabets[turn % 2], k=32))) is None
        assert refusal(base64.urlsafe_b64encode(dice.randbytes(32)).decode()) is None


def test_the_settings_error_names_the_place_and_not_the_key() -> None:
    """A bad key among API_KEYS stops the start; the message says which one by number only."""
    with pytest.raises(NotConfigured, match="Key 2 of API_KEYS is a placeholder") as caught:
        check_given([GIVEN, "changeme" * 5])
    assert "changeme" not in caught.value.message


async def test_keys_of_the_settings_and_of_the_ledger_open_the_door() -> None:
    """Both kinds are known by an id; anything else opens nothing."""
    ledger = new_ledger()
    stored, key = make_key("mine", 0.0)
    await ledger.add_key(stored)
    ring = Keyring(ledger, [GIVEN])
    assert await ring.caller(key) == Caller(stored.id, stored.grants)
    operator = await ring.caller(GIVEN)
    assert operator is not None
    assert operator.id.startswith("settings-")
    assert GIVEN not in repr(operator)
    for stranger in (make_key("not stored", 0.0)[1], GIVEN[:-1], GIVEN + "x", "", "é" * 40, "\ud800"):
        assert await ring.caller(stranger) is None


async def test_the_right_id_with_another_secret_opens_nothing() -> None:
    """The id alone only finds the record: the whole key's hash must match."""
    ledger = new_ledger()
    stored, _ = make_key("mine", 0.0)
    await ledger.add_key(stored)
    _, forged = make_key("forged", 0.0)
    body = f"vdb_live_{stored.id}_{forged.split('_')[3]}"
    whole = f"{body}_{zlib.crc32(body.encode()):08x}"
    assert not mistyped(whole)
    assert await Keyring(ledger).caller(whole) is None


async def test_a_revoked_key_stops_working() -> None:
    """Revoking takes effect with the next request, in the same running service."""
    ledger = new_ledger()
    stored, key = make_key("mine", 0.0)
    await ledger.add_key(stored)
    ring = Keyring(ledger)
    assert await ring.caller(key) is not None
    await ledger.revoke_key(stored.id)
    assert await ring.caller(key) is None


async def test_of_many_processes_that_start_at_once_one_makes_the_first_key() -> None:
    """Exactly one gets a key to show, and it works; later starts make none."""
    ledger = new_ledger()
    made = [key for key in await asyncio.gather(*(first_key(ledger) for _ in range(8))) if key]
    assert len(made) == 1
    assert await Keyring(ledger).caller(made[0]) is not None
    assert await first_key(ledger) is None


def test_no_secret_passes_the_log() -> None:
    """Our keys, the settings' keys and providers' keys are blotted out of finished lines."""
    _, key = make_key("mine", 0.0)
    openai = "sk-proj-" + secrets.token_urlsafe(32)
    line = f'{{"event": "x {key} {GIVEN} {openai} postgresql://me:hunter2@host/db"}}'
    clean = Redactor([GIVEN])(line)
    assert clean == '{"event": "x [secret] [secret] [secret] postgresql:[secret]host/db"}'


@pytest.mark.parametrize(
    "secret",
    [
        *("vdb_live_x", "sk-0123456789abcdef", "pcsk_0123456789abcdef", "mb_0123456789abcdef"),
        *("AKIA0123456789ABCDEF", "//me:hunter2@"),
    ],
)
def test_each_look_of_a_secret_is_found_alone(secret: str) -> None:
    """In a text with nothing else that could be one."""
    assert Redactor()(f"a {secret} b") == "a [secret] b"


def test_secrets_are_known_by_the_names_of_their_settings() -> None:
    """Keys, tokens and passwords, also those in addresses, as they stand there and as they are meant."""
    settings = {
        "OPENAI_API_KEY": "canary-of-openai",
        "AWS_SECRET_ACCESS_KEY": "canary-of-aws",
        "METABASE_PASSWORD": "canary-of-metabase",
        "LEDGER_URL": "postgresql://me:canary%2Fof-ledger@host/db",
        "BROKER_URL": "redis://:canary-of-redis@host",
        "API_KEYS": "canary-one, canary-two",
        "PORT": "8000",
        "PINECONE_API_KEY": "short",
    }
    assert secrets_in(settings) == [
        "canary-of-openai", "canary-of-aws", "canary-of-metabase", "canary%2Fof-ledger", "canary/of-ledger",
        "canary-of-redis", "canary-one", "canary-two",
    ]  # fmt: skip
    words = "; ".join(settings.values())
    assert "canary" not in Redactor.of(settings)(words)
    assert "canary" not in Redactor.of(settings).known(words)
    row = "a row says sk-0123456789abcdef0123"
    assert Redactor.of(settings).known(row) == row
    assert Redactor(['with "quotes"'])(json.dumps('with "quotes"')) == '"[secret]"'
