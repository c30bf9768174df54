"""What callers send. Unknown fields are refused: a misspelt option must not be ignored in silence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.config import Settings
from rowvec import sources
from rowvec.errors import InvalidRequest
from rowvec.intake import TaskRequest
from rowvec.spec import Verify


def _storable(text: str) -> str:
    """JSON can spell what no database and no file name can hold."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold a NUL or half a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_storable)]
ColumnName = Annotated[Text, Field(min_length=1, max_length=1024)]
Columns = Annotated[list[ColumnName], Field(max_length=2000)]
ShortText = Annotated[Text, Field(max_length=128)]
DateText = Annotated[Text, Field(max_length=64, examples=["2025-01-01"])]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


NAMED = ("s3_csv", "metabase", "upload")
"""Sources with fields of their own; `s3_csv` is the bucket, or the local folder in its place."""


def _known_source(name: str) -> str:
    others = sorted(set(sources.TABLE) - {"local", "s3", *NAMED})
    if name not in (*NAMED, *others):
        raise ValueError(f"must be one of {', '.join((*NAMED, *others))}")
    return name


class Origin(Request):
    """Which table: a file by its key, a Metabase question, an upload, or what another source calls it."""

    data_source: Annotated[ShortText, AfterValidator(_known_source)] = Field(
        description="`s3_csv`, `metabase`, `upload`, or another source of this service.", examples=["s3_csv"]
    )
    s3_key: Annotated[Text, Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description="For `s3_csv`: the object's key, or the file's name below LOCAL_FILES_DIR.",
        examples=["sample.csv"],
    )
    question_id: Annotated[int, Field(ge=1, le=2**53)] | None = Field(None, description="For `metabase`.")
    file_id: Annotated[Text, Field(min_length=1, max_length=128)] | None = Field(
        None, description="For `upload`: what `POST /api/v1/files` answered."
    )

    ref: Annotated[Text, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="For any other source: what to read, in that source's own words."
    )

    def place(self, settings: Settings) -> tuple[str, str]:
        """The source's kind, and what to read from it. Raises InvalidRequest."""
        if self.file_id is not None and self.data_source != "upload":
            raise InvalidRequest("file_id goes with data_source 'upload'.", "file_id")
        if self.data_source not in NAMED:
            return self.data_source, _needed(self.ref, "ref", self.data_source)
        if self.ref is not None:
            raise InvalidRequest(f"data_source '{self.data_source}' takes no ref.", "ref")
        if self.data_source == "upload":
            return "upload", _needed(self.file_id, "file_id", "upload")
        if self.data_source == "metabase":
            return "metabase", _needed(self.question_id, "question_id", "metabase")
        key = _needed(self.s3_key, "s3_key", "s3_csv")
        return ("local" if settings.reads_local_files else "s3"), key


def _needed(value: str | int | None, field: str, data_source: str) -> str:
    if value is None:
        raise InvalidRequest(f"data_source '{data_source}' needs {field}.", field)
    return str(value)


class ProcessRequest(Origin):
    """What to index, and how rows become vectors. Only `data_source` and its key are needed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"data_source": "s3_csv", "s3_key": "sample.csv", "batch_size": 1000},
                {
                    "data_source": "s3_csv",
                    "s3_key": "sample.csv",
                    "start_date": "2025-01-01",
                    "date_column": "created_at",
                    "batch_size": 1000,
                    "namespace": "v2",
                },
            ]
        }
    )

    batch_size: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Rows a chunk; CHUNK_SIZE when not given."
    )
    namespace: ShortText = Field("default", min_length=1)
    id_column: ColumnName | None = Field(
        None, description="Gives each vector its id; else a hash of the row."
    )
    id_prefix: ShortText = ""
    text_columns: Columns = Field(default_factory=list, description="What is embedded; all when not given.")
    text_template: Annotated[Text, Field(max_length=10_000, examples=["{title}: {body}"])] | None = None
    metadata_columns: Columns | None = Field(
        None, description="What is stored beside the vector; all by default."
    )
    metadata_types: dict[ColumnName, ShortText] = Field(
        default_factory=dict, max_length=2000, description="`string`, `number` or `bool` by column."
    )
    date_column: ColumnName | None = None
    start_date: DateText | None = Field(None, description="First day or moment taken, inclusive; UTC.")
    end_date: DateText | None = Field(None, description="Last day or moment taken, inclusive; UTC.")
    date_format: ShortText | None = Field(None, description="As of strptime; ISO 8601 when not given.")
    delimiter: Annotated[Text, Field(min_length=1, max_length=8)] | None = None
    encoding: Annotated[Text, Field(min_length=1, max_length=32, examples=["cp1252"])] | None = Field(
        None, description="As Python names it; UTF-8, or what a byte order mark says, when not given."
    )

    parent_id: Annotated[Text, Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="Repaired rows of that ended task; options that are not given are as in it.",
    )
    allow_row_cap: bool = Field(
        False,
        description="For `metabase`: exactly 2,000, 10,000 or 1,048,575 rows are all there are, not a cut.",
    )

    max_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        None, description="The task pauses before it spends more tokens than these."
    )
    max_dollars: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = Field(
        None, description="The same in dollars, at the embedder's price (`price` of an estimate)."
    )

    verify: Literal["none", "sample", "all"] = Field(
        "none",
        description="Before the task is called completed, look in the vector store for what it has written: "
        "for every vector (`all`), or for those of about 10,000 rows (`sample`). What is missing, another "
        "row's or of no row fails the task, in words that say what; retrying it mends that and looks again.",
    )

    title: Annotated[Text, Field(max_length=255)] = Field(
        "", description="What people see it called; as its source calls it when not given."
    )

    def as_task(self, settings: Settings) -> TaskRequest:
        source, ref = self.place(settings)
        return TaskRequest(
            source=source,
            ref=ref,
            namespace=self.namespace if "namespace" in self.model_fields_set else None,
            chunk_size=self.batch_size,
            delimiter=self.delimiter,
            encoding=self.encoding,
            id_column=self.id_column,
            id_prefix=self.id_prefix,
            text_columns=self.text_columns,
            text_template=self.text_template,
            metadata_columns=self.metadata_columns,
            metadata_types=self.metadata_types,
            date_column=self.date_column,
            start_date=self.start_date,
            end_date=self.end_date,
            date_format=self.date_format,
            parent_id=self.parent_id,
            allow_row_cap=self.allow_row_cap,
            max_tokens=self.max_tokens,
            max_dollars=self.max_dollars,
            verify=Verify(self.verify) if "verify" in self.model_fields_set else None,
            title=self.title,
        )


class RetryRequest(Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"rejected": True}]})

    rejected: bool = Field(False, description="Send the rejected rows in again, too, as a child of the task.")
    group: Annotated[str, Field(pattern="^[0-9a-f]{12}$", max_length=12)] | None = Field(
        None, description="Only the failed chunks of that group of `/errors`; not together with `rejected`."
    )


class ProviderPauseRequest(Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "new contract from Monday on"}]})

    reason: Annotated[Text, Field(min_length=1, max_length=200)] = Field(
        "on request", description="Shown wherever it is told what tasks wait for."
    )


class ResumeRequest(Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"more_tokens": 100_000}]})

    more_tokens: Annotated[int, Field(ge=0, le=2**53)] = Field(
        0, description="Added to the budget of a task that was submitted with one."
    )


class SearchRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"query": "a lamp for a small desk", "namespace": "default", "limit": 5}]
        }
    )

    query: Annotated[Text, Field(min_length=1, max_length=32_000)]
    namespace: Annotated[ShortText, Field(min_length=1)] | None = Field(
        None, description="`default`, or the key's own, when not given."
    )
    limit: Annotated[int, Field(ge=1, le=100)] = 10
