"""Taking bodies of betslip messages: from a provider's requests, and from the platform's stream."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from marshmallow import ValidationError
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.betslips.messages import BadMessage, Message
from wallet_hooks.betslips.schemas import MAX_MESSAGES, read_messages
from wallet_hooks.betslips.service import store_messages
from wallet_hooks.database import brand_engine, has_brand_schemas, reading, writing
from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.database.writes import Writes
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.deliveries.service import DeliveryRow, add_deliveries
from wallet_hooks.web.causes import cause_of
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

MESSAGES_PATH = "/betslips/messages"
_OK = {"status": "OK"}


class Body(NamedTuple):
    """A body as it came: its delivery's id, time (UTC), source address, and monotonic seconds at its arrival."""

    id: str
    received_at: datetime
    source: str
    content: bytes
    started: float


class ParsedBody(NamedTuple):
    """A body with its valid messages, and the answer that it gets. An unreadable one has no messages.

    `is_rest`: further messages of a body whose first ones are stored apart, with its delivery.
    """

    body: Body
    messages: list[Message]
    status: int
    answer: dict[str, Any]
    is_readable: bool = True
    is_rest: bool = False


def parse_body(body: Body, *, most: int = MAX_MESSAGES) -> ParsedBody:
    """Read a body of at most `most` messages; the answer names the bad ones.

    A body that is not JSON, or neither message, array nor frame, is unreadable.
    """
    try:
        messages, bad = read_messages(read_json(body.content), most=most)
    except (InvalidJSONError, ValidationError) as error:
        return ParsedBody(body, [], 400, _reason(error), is_readable=False)
    return ParsedBody(body, messages, *((400, _refusal(bad)) if bad else (200, _OK)))


def parts_of(taken: Iterable[ParsedBody], most: int) -> Iterator[list[ParsedBody]]:
    """Yield bodies in their order, together as long as they have at most so many messages; a longer one is divided."""
    part: list[ParsedBody] = []
    for body in taken:
        for one in _divided(body, most):
            if part and sum(len(other.messages) for other in part) + len(one.messages) > most:
                yield part
                part = []
            part.append(one)
    if part:
        yield part


def _divided(body: ParsedBody, most: int) -> Iterator[ParsedBody]:
    yield body._replace(messages=body.messages[:most])
    for start in range(most, len(body.messages), most):
        yield ParsedBody(body.body, body.messages[start : start + most], body.status, {}, is_rest=True)


def store_bodies(engine: Engine, taken: Sequence[ParsedBody], scopes: Collection[tuple[int, str]]) -> None:
    """Store bodies as deliveries, and their messages for each brand id and game, in one database transaction."""
    received = [(message, one.body.id) for one in taken for message in one.messages]
    now = taken[-1].body.received_at
    brand_ids = sorted({brand_id for brand_id, _ in scopes})
    with writing(brand_engine(engine, brand_ids[0]) if len(brand_ids) == 1 else engine) as session:
        if len(brand_ids) == 1 or not has_brand_schemas(engine):
            store_messages(session, received, scopes, now=now)
        else:
            for brand_id in brand_ids:
                own = {scope for scope in scopes if scope[0] == brand_id}
                with seeing_brand(session.connection(), brand_id):
                    store_messages(session, received, own, now=now)
        writes = Writes()
        add_deliveries(writes, [(_delivery(one), ()) for one in taken if not one.is_rest])
        writes.run(session.connection())


def is_stored(engine: Engine, delivery_id: str) -> bool:
    """Return whether a body's delivery is stored."""
    with reading(engine) as session:
        return session.get(Delivery, UUID(delivery_id)) is not None


def _delivery(taken: ParsedBody) -> DeliveryRow:
    body = taken.body
    duration = int((clock.monotonic() - body.started) * 1_000_000)
    answer = json.dumps(taken.answer)
    return DeliveryRow(
        body.id, MESSAGES_PATH, body.received_at, body.source, body.content, taken.status, answer, duration
    )


def _reason(error: Exception) -> dict[str, Any]:
    """Return the answer to a body that cannot be read."""
    cause = cause_of(error)
    assert cause is not None, "the sender can act on it"
    code, _, fields = cause
    return {"error": code, "fields": fields}


def _refusal(bad: Sequence[BadMessage]) -> dict[str, Any]:
    return {"error": "invalid_request", "messages": [{"index": one.position, "error": one.error} for one in bad]}
