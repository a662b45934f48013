"""Pages of stored callbacks: search, one with all that it did, its fixture, and its replay."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.console.causes import causes_of
from wallet_hooks.console.delivery_search import (
    SEARCHED_BETS,
    DeliveryCriteria,
    find_deliveries,
    keys_of_bet,
    keys_of_customer,
    statuses_of,
)
from wallet_hooks.console.paging import Listed
from wallet_hooks.console.rendering import Html
from wallet_hooks.console.replaying import case_of, replay
from wallet_hooks.console.statistics import answer_kind
from wallet_hooks.console.visits import Visit
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.service import all_clients
from wallet_hooks.ledger.queries import transactions_with
from wallet_hooks.replay.bodies import body_member
from wallet_hooks.replay.fixture import find_bets
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.text_checks import is_storable
from wallet_hooks.web.api import Reply

_FIELDS = ("bet", "brand", "customer", "outcome", "from", "to", "apart")
_LARGEST_SHOWN = 256 * 1024  # bytes of a body


class NamedBet(NamedTuple):
    """A bet that a callback names: its customer there, its wager if it was placed, and its error in the answer."""

    key: BetKey
    user: str
    wager: Wager | None
    error: str | None


def search(visit: Visit) -> Html:
    """List callbacks, newest first, by bet, customer, outcome and time. What cannot be searched for is said there.

    Where each brand has a schema, those of the brand that is shown or, with `apart`, of no brand or several.
    """
    given = {name: visit.query(name) for name in _FIELDS}
    if visit.brand is not None and given["customer"]:
        given["brand"] = visit.brand
    before = _read_id(visit.query("after")) if visit.query("after") else None
    found: Listed[Any] = Listed([], None)
    problem = None
    try:
        with reading(visit.engine) as session:
            criteria = _criteria(session, given)
        with reading(visit.console.engine if given["apart"] and visit.brands else visit.engine) as session:
            found = find_deliveries(session, criteria, before=before)
    except (NotFoundError, RefusedError) as error:
        problem = str(error)
    with reading(visit.engine) as session:
        brands = all_clients(session)
    shown = {name: value for name, value in given.items() if value}
    values = {"given": given, "shown": shown, "found": found, "brands": brands, "problem": problem}
    return Html("deliveries.html", values | {"searched_bets": SEARCHED_BETS}, 200 if problem is None else 400)


def show(visit: Visit, id_: str) -> Html:
    """Show one callback: request, answer, the bets that it names with their transactions, and its repetitions."""
    with reading(visit.engine) as session:
        delivery = _delivery(visit, session, id_)
        bets = _bets(session, delivery)
        values = {
            "delivery": delivery,
            "outcome_name": answer_kind(delivery.status),
            "body": _shown(delivery.body),
            "answer": _shown(delivery.answer.encode()),
            "bets": _named_bets(session, delivery),
            "transactions": _transactions(session, bets, delivery),
            "others": _others(session, bets, delivery),
        }
    return Html("delivery.html", values)


def fixture(visit: Visit, id_: str) -> Reply:
    """Download a callback as a fixture: with its preconditions, and the earlier callbacks about the same bets."""
    with reading(visit.engine) as session:
        delivery = _delivery(visit, session, id_)
        case = case_of(session, delivery, visit.console.countries).document
    with writing(visit.engine) as session:
        visit.record(session, "download_fixture", str(delivery.id))
    headers = {"Content-Disposition": f'attachment; filename="{case["name"]}.json"'}
    return Reply(200, json.dumps(case, indent=2, ensure_ascii=False) + "\n", headers=headers)


def replay_now(visit: Visit, id_: str) -> Html:
    """Send a callback to the present code on a temporary database with its preconditions, and show the difference."""
    with reading(visit.engine) as session:
        delivery = _delivery(visit, session, id_)
        case = case_of(session, delivery, visit.console.countries)
    with writing(visit.engine) as session:
        visit.record(session, "replay", str(delivery.id))
    values = {"delivery": delivery, "result": replay(case.document), "is_complete": case.is_complete}
    return Html("replayed.html", values)


def _criteria(session: Session, given: dict[str, str]) -> DeliveryCriteria:
    bets: list[str] | None = None
    if given["bet"]:
        bets = keys_of_bet(session, given["bet"])
    if bool(given["brand"]) != bool(given["customer"]):
        raise RefusedError("bad_customer", "A customer is found by its brand and its id: give both.")
    if given["customer"]:
        customer, brand = customer_by_uid(session, client=given["brand"], uid=given["customer"])
        keys = keys_of_customer(session, customer, brand)
        bets = keys if bets is None else [key for key in keys if key in bets]
    first, last = _read_time("from", given["from"]), _read_time("to", given["to"])
    return DeliveryCriteria(bets, statuses_of(given["outcome"]), first, last)


def _read_time(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return clock.parse_instant(text)
    except ValueError:
        raise RefusedError("bad_time", f"{name}: {text[:40]!r}; a time such as 2026-11-21T12:00 is expected") from None


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(f"no delivery {text[:40]!r}") from None


def _delivery(visit: Visit, session: Session, id_: str) -> Delivery:
    found = session.get(Delivery, _read_id(id_))
    if found is None and visit.brands:
        with reading(visit.console.engine) as shared:
            found = shared.get(Delivery, _read_id(id_))
    if found is None:
        raise NotFoundError(f"no delivery {id_[:40]!r}; it may have been deleted after its retention")
    return found


def _bets(session: Session, delivery: Delivery) -> list[BetKey]:
    query = select(DeliveryBet.bet).where(DeliveryBet.delivery_id == delivery.id).order_by(DeliveryBet.bet)
    return [BetKey.of_text(bet) for bet in session.scalars(query)]


def _named_bets(session: Session, delivery: Delivery) -> list[NamedBet]:
    """Return the bets that the request names, each with its customer, its wager, and what the answer says of it."""
    answer = body_member(delivery.answer.encode()).get("body")
    errors = answer.get("bets", ()) if isinstance(answer, dict) else ()
    said = {one["uid"]: one["error"] for one in errors if isinstance(one, dict) and "uid" in one and "error" in one}
    found = []
    for named in find_bets(body_member(delivery.body)):
        # Half of a surrogate pair cannot be shown; it is escaped.
        bet = {name: text.encode(errors="backslashreplace").decode() for name, text in named.items()}
        key = BetKey(bet["game"], bet["brand"], bet["bet"])
        wager = session.get(Wager, tuple(key)) if is_storable(str(key)) else None
        found.append(NamedBet(key, bet["user"], wager, said.get(key.uid)))
    return found


def _transactions(session: Session, bets: Sequence[BetKey], delivery: Delivery) -> list[dict[str, Any]]:
    """Return the transactions that a callback posted: those of its bets that were recorded with it."""
    references = []
    for key in bets:
        wager = session.get(Wager, tuple(key))
        references += key.references(wager.settlements if wager else 0)
    found = transactions_with(session, references=references)
    causes = causes_of(session, [one["transaction"] for one in found])
    return [one for one in found if causes.get(one["transaction"].id) == delivery.id]


def _others(session: Session, bets: Sequence[BetKey], delivery: Delivery) -> Listed[Any]:
    """Return the newest other callbacks about the same bets."""
    if not bets:
        return Listed([], None)
    found = find_deliveries(session, DeliveryCriteria([str(key) for key in bets]), before=None)
    return found._replace(rows=[row for row in found.rows if row.id != delivery.id])


def _shown(body: bytes) -> str:
    """Return a body as text: indented if it is JSON that stays equal; bytes that are not UTF-8 are escaped."""
    document = body_member(body).get("body") if len(body) <= _LARGEST_SHOWN else None
    if document is not None:
        return json.dumps(document, indent=2, ensure_ascii=False)
    text = body[:_LARGEST_SHOWN].decode("utf-8", "backslashreplace")
    return f"{text}…" if len(body) > _LARGEST_SHOWN else text
