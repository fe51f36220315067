"""The Arrow schema that follows from the fields of a record type. Pure."""

import types
import typing
from typing import Literal

import pyarrow as pa

from pipeline.engine.rows import Record

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow_schema(kind: type[Record]) -> pa.Schema:
    """Return the Arrow schema of a record type; a field that may be None is nullable."""
    return pa.schema(
        [_arrow_field(name, info.annotation) for name, info in kind.model_fields.items()]
    )


def _arrow_field(name: str, annotation: object) -> pa.Field:
    options = typing.get_args(annotation)
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    nullable = is_union and types.NoneType in options
    if nullable:
        (annotation,) = (option for option in options if option is not types.NoneType)
    return pa.field(name, _arrow_type(annotation), nullable=nullable)


def _arrow_type(annotation: object) -> pa.DataType:
    origin = typing.get_origin(annotation)
    if origin in (list, tuple):
        return pa.list_(
            pa.field("item", _arrow_type(typing.get_args(annotation)[0]), nullable=False)
        )
    if origin is Literal:
        return _SCALARS[type(typing.get_args(annotation)[0])]
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return pa.struct(list(arrow_schema(annotation)))
    return _SCALARS[typing.cast("type", annotation)]
