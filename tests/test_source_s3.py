"""Objects of a bucket: pinned to a version, kept within the prefix, refused in the caller's words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    PauseNeeded,
    RateLimited,
    RowvecError,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    Unavailable,
)
from rowvec.filestores.folder import FolderStore
from rowvec.sources.s3 import S3Source
from tests.servers.faulty import Fault, Faulty, before, s3_error
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4000
KEY = "tables/it.csv"


class Shelf:
    """A bucket with one object, and a source that reads it through a proxy that may misbehave."""

    def __init__(self, moto: Moto, proxy: Faulty, folder: Path, versioned: bool = False) -> None:
        self.bucket = moto.new_bucket(versioned)
        self.proxy = proxy
        self._client = moto.client("s3")
        self._settings = {**moto.settings, "AWS_ENDPOINT_URL": proxy.url, "S3_BUCKET": self.bucket}
        self._files = FolderStore(folder / "files")
        self.put(DATA)

    def put(self, data: bytes, key: str = KEY) -> None:
        self._client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def remove(self, **which: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=KEY, **which)

    def version_id(self) -> str:
        return str(self._client.head_object(Bucket=self.bucket, Key=KEY)["VersionId"])

    def stop_versions(self) -> None:
        self._client.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Suspended"}
        )

    def source(self, **settings: str) -> S3Source:
        return S3Source.open({**self._settings, **settings}, self._files)


@pytest.fixture
def proxy(moto: Moto) -> Iterator[Faulty]:
    with before(moto.url) as faulty:
        yield faulty


@pytest.fixture
def shelf(moto: Moto, proxy: Faulty, tmp_path: Path) -> Shelf:
    return Shelf(moto, proxy, tmp_path)


# Versions


async def test_a_bucket_with_versions_gives_the_pinned_one_whatever_becomes_of_the_object(
    moto: Moto, proxy: Faulty, tmp_path: Path
) -> None:
    """Overwritten or deleted meanwhile, the pinned version is still what is read."""
    shelf = Shelf(moto, proxy, tmp_path, versioned=True)
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.put(b"other")
    assert await source.read(pin, 5, 900) == DATA[5:900]
    shelf.remove()
    assert (await source.read(pin, 5, 900), await source.read(pin, 9, 9)) == (DATA[5:900], b"")


async def test_a_pinned_version_that_is_deleted_for_good_is_noticed(
    moto: Moto, proxy: Faulty, tmp_path: Path
) -> None:
    """Without its version there is nothing to go on with."""
    shelf = Shelf(moto, proxy, tmp_path, versioned=True)
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.remove(VersionId=shelf.version_id())
    shelf.put(DATA)
    with pytest.raises(SourceChanged, match=r"'tables/it\.csv' is gone from s3://test-"):
        await source.read(pin, 5, 900)


async def test_a_bucket_that_stopped_keeping_versions_is_pinned_by_etag(
    moto: Moto, proxy: Faulty, tmp_path: Path
) -> None:
    """Its objects all have the version `null`, which the next one overwrites."""
    shelf = Shelf(moto, proxy, tmp_path, versioned=True)
    shelf.stop_versions()
    shelf.put(DATA)
    source = shelf.source()
    pin = await source.pin(KEY)
    assert pin.version.startswith("etag ")
    shelf.put(DATA[::-1])
    with pytest.raises(SourceChanged):
        await source.read(pin, 5, 900)


async def test_an_object_of_the_same_size_is_noticed_between_two_reads(shelf: Shelf) -> None:
    """Every read asks for the pinned ETag, not only the first."""
    source = shelf.source()
    pin = await source.pin(KEY)
    await source.read(pin, 0, 10)
    shelf.put(DATA[::-1])
    with pytest.raises(SourceChanged, match=r"has changed since it was submitted\. Submit it again"):
        await source.read(pin, 10, 20)


# Bodies that end too early


@pytest.mark.parametrize("fault", [Fault(cut_at=1000), Fault(short_to=1000)], ids=["cut", "short"])
async def test_the_rest_of_a_short_body_is_asked_for_again(shelf: Shelf, fault: Fault) -> None:
    """A body that breaks off, or says that it is whole when it is not, costs the missing bytes only."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.seen.clear()
    shelf.proxy.faults = [fault, fault]
    assert await source.read(pin, 100, 100_000) == DATA[100:100_000]
    assert [asked for _, _, asked in shelf.proxy.seen] == [
        "bytes=100-99999",
        "bytes=1100-99999",
        "bytes=2100-99999",
    ]


async def test_bodies_that_never_end_well_are_weather(shelf: Shelf) -> None:
    """They are tried again later, and never passed on short."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.always = Fault(short_to=1)
    with pytest.raises(Unavailable, match="broke off 4 times, the last time at byte 104"):
        await source.read(pin, 100, 100_000)


async def test_the_rest_is_not_taken_from_another_version(shelf: Shelf) -> None:
    """A body that breaks off as the object changes is not completed from what is there now."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.faults = [Fault(short_to=1000), s3_error(412, "PreconditionFailed")]
    with pytest.raises(SourceChanged):
        await source.read(pin, 100, 100_000)


# Refusals


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (s3_error(503, "SlowDown"), RateLimited, "asks for fewer requests"),
        (s3_error(500, "InternalError"), Unavailable, "does not answer"),
        (s3_error(403, "InvalidAccessKeyId"), CredentialsRefused, "refuses the AWS keys of this service"),
        (s3_error(403, "SignatureDoesNotMatch"), CredentialsRefused, "(SignatureDoesNotMatch)"),
        (s3_error(400, "ExpiredToken"), CredentialsRefused, "Set AWS_ACCESS_KEY_ID"),
        (
            s3_error(400, "AuthorizationHeaderMalformed", more="<Region>eu-central-1</Region>"),
            CredentialsRefused,
            "is not in the region us-east-1. It is in eu-central-1. Set AWS_REGION",
        ),
        (s3_error(301, "PermanentRedirect"), CredentialsRefused, "Set AWS_REGION"),
        (s3_error(400, "Strange", "We do not like it."), PauseNeeded, "(400 Strange): We do not like it."),
    ],
    ids=lambda value: value.body.decode()[13:40] if isinstance(value, Fault) else None,
)
@pytest.mark.parametrize("running", [False, True], ids=["at the door", "at work"])
async def test_what_s3_says_is_told_with_the_remedy(
    shelf: Shelf, fault: Fault, error: type[RowvecError], words: str, running: bool
) -> None:
    """The class says what it means for the work: wait, or ask a person."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.always = fault
    with pytest.raises(error) as refused:
        await (source.read(pin, 0, 10) if running else source.pin(KEY))
    assert words in refused.value.message
    assert type(refused.value) is error


async def test_a_denied_object_is_forbidden_at_the_door_and_pauses_work(shelf: Shelf) -> None:
    """Whoever submits is refused; a task that runs already waits for the grant."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.always = s3_error(403, "AccessDenied")
    with pytest.raises(
        SourceForbidden, match=r"denies this service access to 'tables/it\.csv'.*s3:GetObject"
    ):
        await source.pin(KEY)
    with pytest.raises(CredentialsRefused, match=r"s3:GetObject.*Then resume\."):
        await source.read(pin, 0, 10)


async def test_an_archived_object_is_refused_in_words(shelf: Shelf) -> None:
    """An object in cold storage cannot be read before it is restored."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.always = s3_error(403, "InvalidObjectState")
    with pytest.raises(CredentialsRefused, match=r"is archived\. Restore it first\."):
        await source.read(pin, 0, 10)


async def test_one_503_in_between_is_sat_out_within_the_read(shelf: Shelf) -> None:
    """A scan of a large object does not begin anew for it."""
    source = shelf.source()
    pin = await source.pin(KEY)
    shelf.proxy.faults = [s3_error(503, "SlowDown"), s3_error(500, "InternalError")]
    assert await source.read(pin, 0, 10) == DATA[:10]


async def test_an_unknown_bucket_is_a_setting_at_the_door_and_pauses_work(shelf: Shelf) -> None:
    """It is the service's setting that is wrong, not the caller's key."""
    pin = await shelf.source().pin(KEY)
    elsewhere = shelf.source(S3_BUCKET="there-is-none")
    with pytest.raises(NotConfigured, match=r"There is no bucket 'there-is-none'\..*S3_BUCKET"):
        await elsewhere.pin(KEY)
    with pytest.raises(PauseNeeded, match=r"There is no bucket 'there-is-none'\..*resume"):
        await elsewhere.read(pin, 0, 10)


async def test_without_a_bucket_it_says_which_settings_there_are(shelf: Shelf) -> None:
    """Nothing is asked of anybody."""
    pin = await shelf.source().pin(KEY)
    none = shelf.source(S3_BUCKET="")
    with pytest.raises(NotConfigured, match=r"Set S3_BUCKET.*USE_LOCAL_FILES=true"):
        await none.pin(KEY)
    with pytest.raises(PauseNeeded, match="Set S3_BUCKET"):
        await none.read(pin, 0, 10)


async def test_a_server_that_is_not_there_is_weather(shelf: Shelf) -> None:
    """An address nobody listens on is tried again later."""
    with pytest.raises(Unavailable, match="does not answer"):
        await shelf.source(AWS_ENDPOINT_URL="http://127.0.0.1:9").pin(KEY)


# Keys of the service


async def test_without_aws_keys_it_says_where_they_may_come_from(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No keys in the settings, in a profile or from a role: three remedies."""
    _only(monkeypatch, AWS_EC2_METADATA_DISABLED="true")
    source = shelf.source(AWS_ACCESS_KEY_ID="")
    with pytest.raises(CredentialsRefused, match="AWS_PROFILE, or give the instance a role"):
        await source.pin(KEY)


async def test_keys_and_region_come_from_a_profile(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's own files are read where the settings hold no keys."""
    config = tmp_path / "config"
    config.write_text(
        "[profile here]\naws_access_key_id = a\naws_secret_access_key = b\nregion = eu-north-1\n"
    )
    _only(monkeypatch, AWS_CONFIG_FILE=str(config))
    source = shelf.source(AWS_ACCESS_KEY_ID="", AWS_REGION="", AWS_PROFILE="here")
    assert (await source.pin(KEY)).size == len(DATA)
    shelf.proxy.always = s3_error(301, "PermanentRedirect")
    with pytest.raises(CredentialsRefused, match="not in the region eu-north-1"):
        await source.pin(KEY)


class _Metadata(BaseHTTPRequestHandler):
    """What an EC2 instance with a role is told, to whoever holds a token (IMDSv2)."""

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_PUT(self) -> None:
        self._say(200, "a-token")

    def do_GET(self) -> None:
        if self.headers.get("x-aws-ec2-metadata-token") != "a-token":
            self._say(401, "")
        elif self.path.endswith("/security-credentials/"):
            self._say(200, "the-role")
        else:
            expires = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
            keys = {"AccessKeyId": "ROLEKEY", "SecretAccessKey": "s", "Token": "t", "Expiration": expires}
            self._say(200, json.dumps(keys | {"Code": "Success", "Type": "AWS-HMAC"}))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


async def test_keys_come_from_the_instances_role(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """On EC2 nothing is configured: the role's keys sign every request, and are asked for once."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as metadata:
        threading.Thread(target=metadata.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{metadata.server_address[1]}/"
        _only(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
        source = shelf.source(AWS_ACCESS_KEY_ID="")
        pin = await source.pin(KEY)
        metadata.shutdown()
        assert await source.read(pin, 0, 10) == DATA[:10]
    assert shelf.proxy.signed_by == ["ROLEKEY", "ROLEKEY"]


async def test_a_profile_that_is_not_there_is_named(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake is in the setting, and the message names it."""
    _only(monkeypatch)
    with pytest.raises(CredentialsRefused, match=r"profile \(nobody\) could not be found"):
        await shelf.source(AWS_ACCESS_KEY_ID="", AWS_REGION="", AWS_PROFILE="nobody").pin(KEY)


async def test_no_key_is_ever_in_a_message(shelf: Shelf) -> None:
    """Neither the secret nor the key's id is in what a refusal says, shows or was caused by."""
    source = shelf.source(AWS_ACCESS_KEY_ID="AKIACANARY", AWS_SECRET_ACCESS_KEY="canary-secret")
    for fault in (s3_error(403, "SignatureDoesNotMatch"), s3_error(500, "InternalError"), Fault(302)):
        shelf.proxy.always = fault
        with pytest.raises(RowvecError) as refused:
            await source.pin(KEY)
        assert "canary" not in f"{refused.value!r} {refused.value.__cause__!r} {source!r}".lower()


def _only(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """No AWS setting of whoever runs the tests, and none of their files."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    roles = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_EC2_METADATA_DISABLED")
    for name in (*keys, *roles):
        monkeypatch.delenv(name, raising=False)
    nowhere: dict[str, Any] = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    for name, value in (nowhere | environment).items():
        monkeypatch.setenv(name, value)


# Which objects


@pytest.mark.parametrize(
    "ref",
    [
        "../secret.csv",
        "tables/../it.csv",
        "..",
        "/tables/it.csv",
        "./tables/it.csv",
        "a\0b",
        "a\nb",
        "\ud800",
    ],
)
async def test_keys_that_lead_out_are_forbidden(shelf: Shelf, ref: str) -> None:
    """The same rule as for local paths; nothing is asked of S3."""
    with pytest.raises(SourceForbidden, match="may not be read: only objects below s3://"):
        await shelf.source().pin(ref)
    assert shelf.proxy.seen == []


@pytest.mark.parametrize("ref", ["a//b", "tables/", "ä" * 600])
async def test_keys_that_cannot_be_are_not_found(shelf: Shelf, ref: str) -> None:
    """Empty parts and too many bytes name no object."""
    with pytest.raises(SourceNotFound, match="names no object"):
        await shelf.source().pin(ref)


@pytest.mark.parametrize(
    "key", ["a b.csv", "größe/ä.csv", "100%25.csv", "a?b#c&d=e+f.csv", '(it)\'s "*".csv']
)
async def test_keys_of_any_spelling_are_read(shelf: Shelf, key: str) -> None:
    """What S3 takes as a key is asked for as it is spelt."""
    shelf.put(b"id\n1\n", key)
    source = shelf.source()
    pin = await source.pin(key)
    assert await source.read(pin, 0, 99) == b"id\n1\n"


async def test_a_prefix_is_the_root_of_all_keys(shelf: Shelf) -> None:
    """Keys are named below S3_PREFIX, and nothing beside it can be reached."""
    shelf.put(b"beside", "beside.csv")
    source = shelf.source(S3_PREFIX="/tables/")
    pin = await source.pin("it.csv")
    assert await source.read(pin, 0, 10) == DATA[:10]
    for ref in ("beside.csv", "tables/it.csv"):
        with pytest.raises(SourceNotFound, match=r"/tables\. Upload it there"):
            await source.pin(ref)


async def test_the_services_own_files_are_kept_out(shelf: Shelf) -> None:
    """A file store in the same bucket is not read through the source: it holds other callers' uploads."""
    shelf.put(b"theirs", "tables/own/uploads/a.csv")
    own = f"s3://{shelf.bucket}/tables/own/"
    for prefix, ref in (("", "tables/own/uploads/a.csv"), ("tables", "own/uploads/a.csv"), ("tables", "own")):
        with pytest.raises(SourceForbidden, match="the files of this service itself"):
            await shelf.source(FILE_STORE_URL=own, S3_PREFIX=prefix).pin(ref)
    assert (await shelf.source(FILE_STORE_URL=own).pin(KEY)).size == len(DATA)
    shelf.put(b"id\n", "tables/owned.csv")
    assert (await shelf.source(FILE_STORE_URL=own).pin("tables/owned.csv")).size == 3


@pytest.mark.parametrize(("files", "prefix"), [("", ""), ("a", "a"), ("a/", "a/b")])
async def test_a_bucket_within_the_file_store_is_refused(shelf: Shelf, files: str, prefix: str) -> None:
    """Settings that mix callers' tables with the service's own files are found before anything is read."""
    with pytest.raises(NotConfigured, match="Give the file store a prefix of its own"):
        shelf.source(FILE_STORE_URL=f"s3://{shelf.bucket}/{files}", S3_PREFIX=prefix)
