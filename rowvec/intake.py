"""From a caller's wish to a pinned task: everything that can be refused is refused here, before it costs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from rowvec import repair
from rowvec.chunk_size import default_chunk_size
from rowvec.dates import DateWindow
from rowvec.errors import InvalidRequest, SourceDamaged, WrongState
from rowvec.glimpse import Glimpse, glimpse
from rowvec.ledgers.base import Submitted
from rowvec.machine import Limits, Machine
from rowvec.metadata import TYPES
from rowvec.purse import most_tokens
from rowvec.sources.base import ExportedSource, Source
from rowvec.spec import SourcePin, TaskSpec, Verify
from rowvec.text import Template

NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What a caller may ask for. `ref` is a key, a file name or an upload's id, as `source` takes it.

    With `parent_id` it is a child: rows of an ended task, repaired. What is not given is as in the parent,
    and so is its tenant. `max_tokens` and `max_dollars` are what it may spend at most. `verify`
    is how much of it is looked for in the store before it is completed. `title` is what people call it.
    """

    source: str
    ref: str
    namespace: str | None = None
    chunk_size: int | None = None
    delimiter: str | None = None
    encoding: str | None = None
    id_column: str | None = None
    id_prefix: str = ""
    text_columns: Sequence[str] = ()
    text_template: str | None = None
    metadata_columns: Sequence[str] | None = None
    metadata_types: Mapping[str, str] = field(default_factory=dict)
    date_column: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    date_format: str | None = None
    parent_id: str | None = None
    allow_row_cap: bool = False
    max_tokens: int | None = None
    max_dollars: float | None = None
    verify: Verify | None = None
    title: str = ""
    tenant: str = ""
    account: str = ""


_REQUEST: TypeAdapter[TaskRequest] = TypeAdapter(TaskRequest)


async def submit(
    machine: Machine,
    request: TaskRequest,
    idempotency_key: str | None = None,
    most_queued: int | None = None,
) -> Submitted:
    """Pin the source, check the request against its header, and record the task.

    A table that must be exported first is not looked at: whoever plans closes the spec then.
    Raises RequestRefused (what the caller can mend), SourceDamaged (the header is no header) or
    Unavailable, or LimitReached as Ledger.submit; then nothing was recorded.
    """
    spec = await prepare_spec(machine, request)
    await machine.ledger.bind_namespace(spec.namespace, spec.model, spec.dimension)
    return await machine.ledger.submit(spec, idempotency_key, most_queued)


async def prepare_spec(machine: Machine, request: TaskRequest) -> TaskSpec:
    """Pin the source and check the request against its header. Raises as `submit`, and records nothing."""
    parent = await _parent(machine, request)
    request = _inherited(request, parent) if parent else request
    _check_fields(request)
    source = machine.source(request.source)
    _check_export_fields(request, isinstance(source, ExportedSource))
    pin = await source.pin(request.ref)
    if isinstance(source, ExportedSource):
        return _open(machine, request, pin)
    seen = await _look(source, pin, request, machine.limits)
    spec = _spec(machine, request, pin, seen, machine.limits.chunk_size)
    if parent:
        repair.check_columns(spec, parent)
    return spec


def _open(machine: Machine, request: TaskRequest, pin: SourcePin) -> TaskSpec:
    """A spec that waits for its table, with the request."""
    spec = _spec(machine, request, pin, Glimpse(), machine.limits.chunk_size)
    return replace(spec, wish=_REQUEST.dump_json(request).decode())


def wished(spec: TaskSpec) -> TaskRequest:
    """The request that an open spec carries."""
    return _REQUEST.validate_json(spec.wish or "{}")


async def closed(machine: Machine, spec: TaskSpec, source: Source) -> TaskSpec:
    """An open spec with what its table tells, now that it is pinned.

    Raises what `submit` would have raised for the same table at the door.
    """
    request = replace(wished(spec), delimiter=",")
    seen = await _look(source, spec.source, request, machine.limits)
    if seen.header.dialect.copied:
        raise SourceDamaged("The export is not plain UTF-8.")
    found = _spec(machine, request, spec.source, seen, spec.chunk_size)
    return replace(
        found,
        max_record_bytes=spec.max_record_bytes,
        embedder=spec.embedder,
        model=spec.model,
        dimension=spec.dimension,
        max_tokens=spec.max_tokens,
    )


async def _parent(machine: Machine, request: TaskRequest) -> TaskSpec | None:
    """Raises UnknownTask, and WrongState for one that may still reject rows, or never had any."""
    if request.parent_id is None:
        return None
    task = await machine.ledger.task(request.parent_id)
    if not task.state.ended:
        raise WrongState(f"Task {task.id} has not ended. Send repaired rows in when it has.")
    if task.spec.wish is not None:
        raise WrongState(f"Task {task.id} ended before its table was there: it has no rows to repair.")
    return task.spec


def _inherited(request: TaskRequest, parent: TaskSpec) -> TaskRequest:
    """The request with the parent's options where it has none of its own."""
    metadata = parent.metadata_columns if request.metadata_columns is None else request.metadata_columns
    types = {name: kind for name, kind in parent.types.items() if name in metadata}
    request = replace(
        request,
        namespace=parent.namespace if request.namespace is None else request.namespace,
        id_column=parent.id_column if request.id_column is None else request.id_column,
        id_prefix=request.id_prefix or parent.id_prefix,
        metadata_columns=metadata,
        metadata_types=types | dict(request.metadata_types),
        tenant=parent.tenant,
        account=request.account or parent.account,
        verify=parent.verify if request.verify is None else request.verify,
    )
    if not request.text_columns and request.text_template is None:
        request = replace(request, text_columns=parent.text_columns, text_template=parent.text_template)
    if request.date_column or request.start_date or request.end_date:
        return request
    return replace(
        request,
        date_column=parent.date_column,
        start_date=parent.start_date,
        end_date=parent.end_date,
        date_format=request.date_format or parent.date_format,
    )


def _namespace(request: TaskRequest) -> str:
    return "default" if request.namespace is None else request.namespace


def _check_fields(request: TaskRequest) -> None:
    if not NAMESPACE.fullmatch(_namespace(request)):
        raise InvalidRequest(
            f"The namespace {request.namespace!r} must be 1 to 128 letters, digits, '_', '.' or '-', "
            "beginning with a letter or digit.",
            "namespace",
        )
    if request.text_columns and request.text_template is not None:
        raise InvalidRequest("Give text_columns or text_template, not both.", "text_template")
    if request.date_column is None and (request.start_date or request.end_date):
        raise InvalidRequest("start_date and end_date need date_column to say which column.", "date_column")
    if request.date_column is not None and not (request.start_date or request.end_date):
        raise InvalidRequest("date_column needs a start_date or an end_date.", "date_column")
    wrong = {name for name, kind in request.metadata_types.items() if kind not in TYPES}
    if wrong:
        raise InvalidRequest(
            f"The types of {_listed(wrong)} must be one of {_listed(TYPES)}.", "metadata_types"
        )
    DateWindow(request.start_date, request.end_date, request.date_format)


def _check_export_fields(request: TaskRequest, exported: bool) -> None:
    """What goes with files only, and what with exports only. Raises InvalidRequest."""
    if request.allow_row_cap and not exported:
        raise InvalidRequest("allow_row_cap goes with data_source 'metabase'.", "allow_row_cap")
    for name in ("delimiter", "encoding", "parent_id") if exported else ():
        if getattr(request, name) is not None:
            raise InvalidRequest(f"{name} goes with files, not with an export.", name)


async def _look(source: Source, pin: SourcePin, request: TaskRequest, limits: Limits) -> Glimpse:
    """What the table's beginning tells, with every column there that the request names."""
    child = request.parent_id is not None
    seen = await glimpse(source, pin, limits, request.encoding, request.delimiter, repaired=child)
    _check_columns(request, repair.names(seen.header.columns) if child else seen.header.columns)
    return seen


def _check_columns(request: TaskRequest, columns: Sequence[str]) -> None:
    """Every column that is named must exist; a file without a header has none to check against."""
    if not columns:
        return
    named: list[tuple[str, Iterable[str | None]]] = [
        ("id_column", [request.id_column]),
        ("date_column", [request.date_column]),
        ("text_columns", request.text_columns),
        ("metadata_columns", request.metadata_columns or ()),
        ("metadata_types", request.metadata_types),
    ]
    for fieldname, names in named:
        unknown = [name for name in names if name is not None and name not in columns]
        if unknown:
            raise InvalidRequest(
                f"{fieldname} names {_listed(unknown)}, which the file does not have. "
                f"Its columns are {_listed(columns)}.",
                fieldname,
            )
    Template(tuple(columns), tuple(request.text_columns), request.text_template)


def _spec(machine: Machine, request: TaskRequest, pin: SourcePin, seen: Glimpse, most: int) -> TaskSpec:
    """The spec; without a wish of the caller's, a chunk has `most` rows at most."""
    header, columns = seen.header, request.metadata_columns
    types = dict(seen.types) | dict(request.metadata_types)
    metadata = header.columns if columns is None else tuple(dict.fromkeys(columns))
    return TaskSpec(
        source=pin,
        header=header.columns,
        data_start=header.data_start,
        data_line=header.data_line,
        dialect=header.dialect,
        chunk_size=request.chunk_size or default_chunk_size(most, seen.rows, machine.embedder.price),
        max_record_bytes=machine.limits.max_record_bytes,
        namespace=_namespace(request),
        embedder=machine.embedder_name,
        model=machine.embedder.model,
        dimension=machine.embedder.dimension,
        id_column=request.id_column,
        id_prefix=request.id_prefix,
        text_columns=tuple(dict.fromkeys(request.text_columns)),
        text_template=request.text_template,
        metadata_columns=metadata,
        types={name: types[name] for name in metadata if name in types},
        date_column=request.date_column,
        start_date=request.start_date,
        end_date=request.end_date,
        date_format=request.date_format,
        parent_id=request.parent_id,
        tenant=request.tenant,
        account=request.account,
        max_tokens=most_tokens(request.max_tokens, request.max_dollars, machine.embedder.price),
        verify=request.verify or Verify.NONE,
        title=request.title,
    )


def _listed(names: Iterable[str]) -> str:
    """Names for a message, at most twenty of them, each cut to a length a person reads."""
    every = [f"'{name[:80]}'" for name in names]
    more = f" and {len(every) - 20} more" if len(every) > 20 else ""
    return ", ".join(every[:20]) + more
