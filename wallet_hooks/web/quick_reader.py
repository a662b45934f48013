"""A fast reader for valid bodies, built from a marshmallow schema."""

from collections.abc import Callable
from functools import partial
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing

from wallet_hooks.web.fields import BoundedList, Lenient

_MISSING = object()
_Reader = Callable[[Any], Any]


class _NotQuickError(Exception):
    """The quick reader met a value that marshmallow must validate."""


def quick_reader(schema: Schema) -> _Reader:
    """A function that reads valid bodies as `schema.load` does, in a fraction of its time.

    It is built from the schema's own fields, once. An invalid body is cut off after the first invalid element of a
    list, and given to `schema.load`, which raises its own ValidationError.
    """
    read = _object_reader(schema)

    def load(document: Any) -> Any:
        try:
            return read(document)
        except (_NotQuickError, ValidationError):
            schema.load(document)
        raise AssertionError("marshmallow accepts what the quick reader refuses")

    return load


def _object_reader(schema: Schema) -> _Reader:
    steps = [(name, field.data_key or name, field.required, _reader(field)) for name, field in schema.fields.items()]

    def read(document: Any) -> dict[str, Any]:
        if type(document) is not dict:
            raise _NotQuickError
        loaded = {}
        for name, key, required, read_value in steps:
            value = document.get(key, _MISSING)
            if value is not _MISSING:
                loaded[name] = read_value(value)
            elif required:
                raise _NotQuickError
        return loaded

    return read


def _reader(field: fields.Field[Any]) -> _Reader:
    assert field.load_default is missing, "the quick reader knows no defaults"
    read, validators, allows_none = _not_null_reader(field), field.validators, field.allow_none

    def read_value(value: Any) -> Any:
        if value is None:
            if allows_none:
                return None
            raise _NotQuickError
        loaded = read(value)
        for validator in validators:
            validator(loaded)
        return loaded

    return read_value


def _not_null_reader(field: fields.Field[Any]) -> _Reader:
    if isinstance(field, fields.Nested):
        return _object_reader(field.schema)
    if isinstance(field, fields.List):
        return _list_reader(_reader(field.inner), most=field.most if isinstance(field, BoundedList) else None)
    if isinstance(field, Lenient):
        return _lenient_reader(_reader(field.inner))
    return partial(field._deserialize, attr=None, data=None)


def _lenient_reader(read: _Reader) -> _Reader:
    def read_value(value: Any) -> Any:
        try:
            return read(value)
        except (_NotQuickError, ValidationError):
            return None

    return read_value


def _list_reader(read: _Reader, *, most: int | None) -> _Reader:
    def read_list(values: Any) -> list[Any]:
        if type(values) is not list or (most is not None and len(values) > most):
            raise _NotQuickError
        loaded = []
        for value in values:
            try:
                loaded.append(read(value))
            except (_NotQuickError, ValidationError):
                del values[len(loaded) + 1 :]  # elements after the first invalid one are not validated
                raise
        return loaded

    return read_list
