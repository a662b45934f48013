"""The state that is stored with each intake is the state that all stored messages leave."""

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.world import World
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM, Message, message_of
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.betslips.queries import messages_of, states_of
from wallet_hooks.betslips.service import store_messages
from wallet_hooks.betslips.state import state_after
from wallet_hooks.database import writing
from wallet_hooks.web.strict_json import read_json

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_PMM = {
    "bookie": "bf",
    "status": {"code": "success"},
    "price_list": [{"effective": {"price": 2, "min": ["EUR", 2], "max": ["EUR", 5]}}],
}
_BODIES = [
    (BETSLIP, {"customer_username": "nobody"}),
    (BETSLIP, {"is_open": False}),
    (CLOSED, {"close_reason": "timeout"}),
    (PMM, _PMM | {"username": "a"}),
    (PMM, _PMM | {"username": "b", "status": {"code": "blacklist"}}),
]
_MESSAGES = st.tuples(st.sampled_from(_BODIES), st.none() | st.integers(0, 9))
_numbers = itertools.count()


@settings(max_examples=40)
@given(requests=st.lists(st.lists(_MESSAGES, min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_stored_state_is_that_of_all_messages(world: World, requests: list[list[tuple[Any, int | None]]]) -> None:
    name = f"b{next(_numbers)}"
    for sent in requests:
        received = [(_message(name, type_, body, ts), "") for (type_, body), ts in sent]
        with writing(world.engine) as session:
            store_messages(session, received, [(1007, "betflex")], now=NOW)
            _check(session, name)


def _message(name: str, type_: str, body: dict[str, object], ts: int | None) -> Message:
    document = read_json(json.dumps(body | {"betslip_id": name}).encode())
    return message_of(type_, None if ts is None else Decimal(ts), document)


def _check(session: Session, name: str) -> None:
    session.expire_all()
    betslip = session.scalars(select(Betslip).where(Betslip.betslip_id == name)).one()
    stored = messages_of(session, betslip)
    expected = state_after(
        message_of(one.type, None if one.ts is None else Decimal(one.ts), read_json(one.body.encode()))
        for one in stored
    )
    found = states_of(session, [betslip])[betslip.id]
    assert _facts(found.prices.values()) == _facts(expected.prices.values())
    assert (found.closing and found.closing.body) == (expected.closing and expected.closing.body)
    assert (found.announcement and found.announcement.body) == (expected.announcement and expected.announcement.body)
    bounds = {code: tuple(pair) for code, pair in (betslip.bounds or {}).items()}
    assert (betslip.is_open, bounds) == (expected.is_open, dict(expected.bounds or {}))
    assert (betslip.bounds is None) == (expected.bounds is None)


def _facts(prices: Iterable[Message]) -> dict[object, tuple[object, str]]:
    return {one.bookie_login: (one.ts, one.body) for one in prices}
