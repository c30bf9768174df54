"""New task over the real service: what is sent, what is shown before it starts, and what is refused."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rowvec.api_key import Grants, Scope
from tests.http_service import Running, follow, serve, uvicorn
from tests.tenant_kit import House, house
from tests.web.page_kit import Visitor, hidden_fields, told_beside

KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
TABLE = b"id,title,day\np1,a lamp for the desk,2025-01-01\np2,a tall lamp,2024-01-01\n,no id,2025-01-01\n"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ROWS = f'id,title\n1,"{HOSTILE.replace(chr(34), chr(34) * 2)}"\n2,=cmd|calc\n3,\u202egpj.exe\n'.encode()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "goods.csv").write_bytes(TABLE)
    (folder / "two words & more.csv").write_bytes(TABLE)
    (folder / "odd.csv").write_bytes(b"a;b|c\n1;2|3\n")
    return folder


@pytest.fixture(scope="module")
def service(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"API_KEYS": KEY, "LOCAL_FILES_DIR": str(tables), "MAX_UPLOAD_BYTES": "300000"}
    with serve(uvicorn(), tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def visitor(service: Running) -> Iterator[Visitor]:
    with Visitor(service.url, KEY) as made:
        yield made


def uploads(service: Running) -> list[str]:
    return [file.name for file in service.said.parent.glob("data/files/uploads/*")]


def test_a_file_is_sent_looked_at_and_started(service: Running, visitor: Visitor) -> None:
    """The form alone does it, without a script: upload, look, start; and its rows arrive."""
    address = visitor.upload(TABLE, "my goods.csv")
    page = visitor.get(address).text
    assert "my goods.csv" in page and "a tall lamp" in page and '<option value="id" selected>' in page
    assert page.count("Will be embedded") == 2 and "The id column &#39;id&#39; is empty" in page
    fields = hidden_fields(page) | {"text": "template", "text_template": "{title}!", "namespace": "mine"}
    started = visitor.post("/new/start", fields | {"id_column": "id", "verify": "all"})
    assert started.status_code == 303
    task_page = visitor.get(started.headers["location"]).text
    assert (
        "<h1><bdi>my goods.csv</bdi></h1>" in task_page and "every row, before it is completed" in task_page
    )
    task_id = started.headers["location"].removeprefix("/tasks/")
    with service.client(KEY) as api:
        assert follow(api, task_id)[-1] == "end"
        status = api.get(f"/api/v1/status/{task_id}").json()
        assert (status["namespace"], status["conservation"]["upserted"]) == ("mine", 2)
        assert (status["title"], status["source"]["kind"]) == ("my goods.csv", "upload")
        found = api.post("/api/v1/search", json={"query": "lamp", "namespace": "mine"}).json()
    assert {match["text"] for match in found["matches"]} == {"a lamp for the desk!", "a tall lamp!"}


def test_repaired_rows_go_where_their_task_went(service: Running, visitor: Visitor) -> None:
    """From the page that names the task: the same options, and a child of it."""
    fields = hidden_fields(visitor.get("/new/table?data_source=s3_csv&s3_key=goods.csv").text)
    wish = {"id_column": "id", "text": "columns", "text_columns": "title", "namespace": "repaired"}
    task_id = visitor.post("/new/start", fields | wish).headers["location"].removeprefix("/tasks/")
    with service.client(KEY) as api:
        assert follow(api, task_id)[-1] == "end"
        table = api.get(f"/api/v1/tasks/{task_id}/rejected?format=repair").content
        offered = visitor.get(f"/new?repairs={task_id}").text
        assert hidden_fields(offered)["parent_id"] == task_id and "Try the sample" not in offered
        parts = [("csrf", (None, visitor.csrf)), ("parent_id", (None, task_id))]
        sent = visitor.post_file([*parts, ("file", ("fixed.csv", table.replace(b",,", b",p3,"), "text/csv"))])
        page = visitor.get(sent.headers["location"]).text
        assert "Will be embedded" in page and 'name="namespace"' not in page
        child = visitor.post("/new/start", hidden_fields(page)).headers["location"].removeprefix("/tasks/")
        assert follow(api, child)[-1] == "end"
        status = api.get(f"/api/v1/status/{child}").json()
    assert (status["parent_id"], status["namespace"]) == (task_id, "repaired")
    assert status["conservation"]["upserted"] == 1


def test_a_form_that_is_sent_twice_starts_one_task(visitor: Visitor) -> None:
    """A second press is the same task; other options on the same page are another."""
    fields = hidden_fields(visitor.get("/new/table?data_source=s3_csv&s3_key=goods.csv").text)
    first, second = (visitor.post("/new/start", fields).headers["location"] for _ in range(2))
    other = visitor.post("/new/start", fields | {"namespace": "other"}).headers["location"]
    assert first == second != other


@pytest.mark.parametrize("tokens", [[], ["wrong"]], ids=["no token", "a wrong one"])
def test_a_foreign_file_is_not_kept(service: Running, visitor: Visitor, tokens: list[str]) -> None:
    """Nothing of it, also where the token comes after the file."""
    before = uploads(service)
    parts = [("csrf", (None, token)) for token in tokens]
    file = ("file", ("x.csv", TABLE, "text/csv"))
    for sent in ([*parts, file], [file, ("csrf", (None, visitor.csrf))]):
        answer = visitor.post_file(sent)
        assert answer.status_code == 403 and "another session" in html.unescape(answer.text)
    empty = visitor.post_file([*parts, ("file", ("x.csv", b"", "text/csv"))])
    assert empty.status_code == 403
    elsewhere = visitor.post_file([("csrf", (None, visitor.csrf)), file], Origin="https://evil.example")
    assert elsewhere.status_code == 403
    assert uploads(service) == before


def test_a_script_is_told_where_to_go_on_and_what_is_wrong(visitor: Visitor) -> None:
    """JSON instead of a redirect; a file beyond the limit is a problem in words."""
    parts = [("csrf", (None, visitor.csrf)), ("file", ("x.csv", TABLE, "text/csv"))]
    answer = visitor.post_file(parts, Accept="application/json")
    assert answer.status_code == 201
    assert parse_qs(urlsplit(answer.json()["next"]).query)["name"] == ["x.csv"]
    parts[1] = ("file", ("x.csv", b"x" * 400_000, "text/csv"))
    refused = visitor.post_file(parts, Accept="application/json")
    assert refused.status_code == 413 and "300000 bytes" in refused.json()["detail"]


def test_a_bigger_form_field_is_cut(visitor: Visitor) -> None:
    """What stands before the file is held in memory, so there is an end to it."""
    parts = [("csrf", (None, visitor.csrf)), ("parent_id", (None, "x" * 100_000))]
    answer = visitor.post_file([*parts, ("file", ("x.csv", TABLE, "text/csv"))])
    assert answer.status_code == 303 and len(answer.headers["location"]) < 1_500


def test_tables_that_are_there_can_be_chosen(visitor: Visitor) -> None:
    """Each is a link that leads to its preview, whatever its name needs."""
    page = visitor.get("/new").text
    for name in ("goods.csv", "two%20words%20%26%20more.csv"):
        address = f"/new/table?data_source=s3_csv&amp;s3_key={name}"
        assert f'href="{address}"' in page
        assert "a tall lamp" in visitor.get(html.unescape(address)).text


def test_the_sample_is_one_press_away(visitor: Visitor) -> None:
    """Its options are filled in, and they are what the preview shows."""
    answer = visitor.post("/new/sample")
    page = visitor.get(answer.headers["location"]).text
    assert answer.status_code == 303
    assert "Desk lamp: A small lamp for a desk" in page
    assert 'value="template" checked' in page and 'value="{title}: {body}"' in page


def test_what_is_wrong_stands_beside_its_field(visitor: Visitor) -> None:
    """In a piece for htmx, as on the whole page, and for what only the door can refuse."""
    fields = hidden_fields(visitor.get("/new/table?data_source=s3_csv&s3_key=goods.csv").text)
    wrong = {
        "namespace": ({"namespace": "no/slash"}, "must be 1 to 128 letters"),
        "date_column": ({"start_date": "2025-01-01"}, "need date_column"),
        "batch_size": ({"batch_size": "many"}, "valid integer"),
        "text_template": ({"text": "template", "text_template": "{nope}"}, "nope"),
    }
    for field, (options, words) in wrong.items():
        for htmx in (True, False):
            answer = visitor.post("/new/table", fields | options, htmx)
            assert answer.status_code == 422
            assert words in told_beside(answer.text, field), field
        assert told_beside(visitor.post("/new/start", fields | options).text, field)
    mended = visitor.post("/new/table", fields, htmx=True).text
    assert all(told_beside(mended, field) == "" for field in wrong)
    assert "<html" not in mended and "a tall lamp" in mended


def test_what_cannot_be_read_says_why(visitor: Visitor) -> None:
    """No such table, and one of which only the caller can tell what separates its columns."""
    missing = visitor.get("/new/table?data_source=s3_csv&s3_key=nope.csv")
    assert missing.status_code == 422 and "There is no file &#39;nope.csv&#39;" in missing.text
    odd = visitor.get("/new/table?data_source=s3_csv&s3_key=odd.csv")
    assert odd.status_code == 422 and 'name="delimiter"' in odd.text
    assert visitor.get("/new/table?data_source=s3_csv&s3_key=odd.csv&delimiter=%7C").status_code == 200
    assert visitor.get("/new/table").status_code == 422


def test_days_and_columns_change_what_is_shown(visitor: Visitor) -> None:
    """The preview follows the options."""
    fields = hidden_fields(visitor.get("/new/table?data_source=s3_csv&s3_key=goods.csv").text)
    days = {"date_column": "day", "start_date": "2025-01-01"}
    told = visitor.post("/new/table", fields | days | {"text": "columns", "text_columns": "title"}, htmx=True)
    assert told.text.count("Outside the days") == 1
    assert '<p class="embedded" dir="auto">a lamp for the desk</p>' in told.text


def test_the_estimate_is_counted(visitor: Visitor) -> None:
    fields = hidden_fields(visitor.get("/new/table?data_source=s3_csv&s3_key=goods.csv").text)
    told = visitor.post("/new/estimate", fields | {"id_column": "id"}, htmx=True).text
    assert "2 to embed" in told and "33.3\u00a0% rejected" in told and "Free" in told


def test_rows_are_shown_and_never_run(visitor: Visitor) -> None:
    """Scripts in rows and in names come out as text, and every page keeps its policy."""
    address = visitor.upload(ROWS, f"{HOSTILE}.csv")
    answer = visitor.get(address)
    assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text and "=cmd|calc" in answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


def test_a_reader_does_not_get_there(home: House) -> None:
    """Neither by the menu nor by the address, nor by sending a form."""
    home.hand_out("reader", Grants(Scope.READ))
    with Visitor(home.first.url, home.keys["reader"]) as reader:
        assert 'href="/new"' not in reader.get("/search").text
        assert reader.get("/new").status_code == 403
        for path in ("/new/sample", "/new/table", "/new/estimate", "/new/start"):
            assert reader.post(path, {"data_source": "s3_csv", "s3_key": "x"}).status_code == 403
        parts = [("csrf", (None, reader.csrf)), ("file", ("x.csv", TABLE, "text/csv"))]
        assert reader.post_file(parts).status_code == 403


def test_a_tenant_chooses_from_its_own(home: House) -> None:
    """Tables that its key does not read are not named; what it uploads is its tenant's."""
    with Visitor(home.first.url, home.keys["acme-admin"]) as acme:
        page = acme.get("/new").text
        assert "s3_key" not in page and "upload" in page
        file_id = parse_qs(urlsplit(acme.upload(TABLE)).query)["file_id"][0]
        assert file_id.startswith("acme-")
    with Visitor(home.first.url, home.keys["other-admin"]) as other:
        told = other.get(f"/new/table?data_source=upload&file_id={file_id}")
        assert told.status_code == 422 and "There is no upload" in told.text
