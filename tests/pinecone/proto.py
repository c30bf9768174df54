"""Pinecone's messages as its own definition has them (db_data_2025-10.proto), for protobuf to judge."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_TYPES = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "float": descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
}
_STRUCT = "google.protobuf.Struct"
_MESSAGES = {
    "Vector": "string id = 1; repeated float values = 2; Struct metadata = 3",
    "ScoredVector": "string id = 1; float score = 2; repeated float values = 3; Struct metadata = 4",
    "UpsertRequest": "repeated Vector vectors = 1; string namespace = 2",
    "DeleteRequest": "repeated string ids = 1; bool delete_all = 2; string namespace = 3; Struct filter = 4",
    "FetchRequest": "repeated string ids = 1; string namespace = 2",
    "FetchByMetadataRequest": (
        "string namespace = 1; Struct filter = 2; uint32 limit = 3; string pagination_token = 4"
    ),
    "Usage": "uint32 read_units = 1",
    "Pagination": "string next = 1",
    "FetchResponse": (
        "map Vector vectors = 1; string namespace = 2; Usage usage = 3; Pagination pagination = 4"
    ),
    "ListRequest": "string prefix = 1; uint32 limit = 2; string pagination_token = 3; string namespace = 4",
    "ListItem": "string id = 1",
    "ListResponse": (
        "repeated ListItem vectors = 1; Pagination pagination = 2; string namespace = 3; Usage usage = 4"
    ),
    "QueryRequest": (
        "string namespace = 1; uint32 top_k = 2; Struct filter = 3; bool include_values = 4; "
        "bool include_metadata = 5; repeated float vector = 7; string id = 8"
    ),
    "QueryResponse": "repeated ScoredVector matches = 2; string namespace = 3; Usage usage = 4",
    "UpdateRequest": (
        "string id = 1; repeated float values = 2; Struct set_metadata = 3; string namespace = 4; "
        "Struct filter = 6; bool dry_run = 7"
    ),
    "UpdateResponse": "int32 matched_records = 1",
    "NamespaceSummary": "uint32 vector_count = 1",
    "DescribeIndexStatsResponse": (
        "map NamespaceSummary namespaces = 1; uint32 dimension = 2; uint32 total_vector_count = 4; "
        "string metric = 5; string vector_type = 6"
    ),
}


def _add_field(message: descriptor_pb2.DescriptorProto, text: str) -> None:
    *kinds, name, _, number = text.split()
    kind = kinds[-1]
    repeated = kinds[0] in ("repeated", "map")
    if kinds[0] == "map":
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "string key = 1")
        _add_field(entry, f"{kind} value = 2")
        kind = f"{message.name}.{entry.name}"
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind in _TYPES:
        field.type = _TYPES[kind]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_STRUCT if kind == 'Struct' else kind}"


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="db_data.proto", syntax="proto3")
    file.dependency.append("google/protobuf/struct.proto")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split("; "):
            _add_field(message, field)
    pool = descriptor_pool.DescriptorPool()
    struct_file = descriptor_pb2.FileDescriptorProto()
    struct_pb2.DESCRIPTOR.CopyToProto(struct_file)
    pool.Add(struct_file)
    pool.Add(file)
    return pool


_POOL = _pool()


def message(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def plain(struct: Any) -> dict[str, Any]:
    """A Struct as Python has it."""
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "struct_value":
        return plain(value.struct_value)
    return None if kind in (None, "null_value") else getattr(value, kind)
