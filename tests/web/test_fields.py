"""The fast path of reading bodies gives the same results and errors as marshmallow."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from tests.world import bet, refund, result
from wallet_hooks.betslips.schemas import BetslipSchema, PmmSchema
from wallet_hooks.sportsbook.schemas import CancelBetsSchema, PlaceBetsSchema, SettleBetsSchema
from wallet_hooks.web.quick_reader import quick_reader
from wallet_hooks.web.strict_json import Number, read_json

unusual: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.just(Number("5"))
    | st.just(Number("5.7"))
    | st.text(max_size=4)
    | st.sampled_from([" 9", "9 ", " ", "\u00a09"])
    | st.just([])
    | st.just({})
)


def parsed(document: Any) -> Any:
    """Return the document as the strict JSON parser returns it."""
    return read_json(json.dumps(document).encode())


_OFFER = {"price": 2.5, "min": ["EUR", 1.0], "max": ["EUR", 20]}
_PRICES = [{"effective": _OFFER, "bookie": _OFFER}, {"effective": _OFFER, "bookie": None}, {"effective": _OFFER}]
_PMM = {"betslip_id": "b1", "bookie": "bf", "username": "u", "status": {"code": "success"}, "price_list": _PRICES}
SCHEMAS: list[tuple[Schema, Any]] = [
    (PlaceBetsSchema(), parsed({"bets": [bet("1", overdraw="3.00"), bet(2, 5)]})),
    (SettleBetsSchema(), parsed({"pools": [result("1"), result(2)]})),
    (CancelBetsSchema(), parsed({"pools": [refund("1")]})),
    (BetslipSchema(), parsed({"betslip_id": "b1", "customer_username": "ann", "is_open": True, "accounts": [{}, {}]})),
    (PmmSchema(), parsed(_PMM)),
]


def paths(document: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = [prefix] if prefix else []
    for key, value in children:
        found += paths(value, (*prefix, key))
    return found


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(path) == 1 and value is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


def outcome(load: Any, document: Any) -> Any:
    try:
        return "valid", load(document)
    except ValidationError as error:
        return "invalid", error.messages


@given(st.data(), unusual | st.just(...))
def test_quick_reader_agrees_with_marshmallow(data: st.DataObject, value: Any) -> None:
    schema, document = data.draw(st.sampled_from(SCHEMAS))
    path = data.draw(st.sampled_from(paths(document)))
    mutated = changed(document, path, value)
    expected = outcome(schema.load, mutated)
    sent = deepcopy(mutated)
    assert outcome(quick_reader(schema), mutated) == expected
    if expected[0] == "valid":
        assert mutated == sent, "what is accepted is left as it was sent"


@pytest.mark.parametrize(("schema", "document"), SCHEMAS, ids=lambda value: type(value).__name__)
def test_valid_bodies_never_need_marshmallow(schema: Schema, document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = quick_reader(schema)
    expected = schema.load(document)
    monkeypatch.setattr(type(schema), "load", None)
    assert read(document) == expected
