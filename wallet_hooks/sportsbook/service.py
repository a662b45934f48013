"""The way of a group of callbacks: read what it needs, decide each request in turn, write what came of it.

The number of statements does not depend on how many callbacks or bets there are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.customers.play_sessions import PLAY_SESSIONS, play_sessions
from wallet_hooks.customers.queries import ACCOUNTS_OF_CUSTOMERS, LOCK_CUSTOMERS, customer_facts
from wallet_hooks.database import RowStatement, run_together, write_at_once
from wallet_hooks.deliveries import service as deliveries
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.countries import COUNTRY_RULES, country_rules
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.currencies import keep
from wallet_hooks.ledger.journal import AccountName
from wallet_hooks.ledger.queries import (
    CURRENT_RATES,
    ENTRIES_OF_REFERENCES,
    HOUSE_ACCOUNTS,
    held_accounts,
    house_accounts,
    lines_by_reference,
)
from wallet_hooks.limits.enforcement import (
    LIVE_LIMITS,
    LONGEST,
    bounds_of,
    defaults_bind_bets,
    limits_by_customer,
    sessions_to_keep,
)
from wallet_hooks.limits.usage import USAGE_SINCE
from wallet_hooks.sportsbook.bets import (
    Accepted,
    BetKey,
    CancelBets,
    Failed,
    Outcome,
    PlaceBets,
    Request,
    SettleBet,
    SettleBets,
)
from wallet_hooks.sportsbook.book import Book, WagerState
from wallet_hooks.sportsbook.models import CouponEvent
from wallet_hooks.sportsbook.placing import place
from wallet_hooks.sportsbook.queries import (
    EARLY_CANCELS,
    KNOWN_WAGERS,
    STAKES_ON_EVENTS,
    WAGER_COLUMNS,
    event_stakes,
    events_of_coupons,
    wager_states,
)
from wallet_hooks.sportsbook.settling import cancel, outcome_of, settle, settle_again

_KINDS = {
    "customer_id": "bigint",
    "stake": "bigint",
    "cost": "bigint",
    "possible_payout": "bigint",
    "placed_at": "timestamptz",
    "payout": "bigint",
    "home_payout": "bigint",
    "settlements": "bigint",
    "closed_at": "timestamptz",
}
_CREATED = WAGER_COLUMNS[: WAGER_COLUMNS.index("placed_at") + 1]
_KEY = BetKey._fields
_CHANGED = ("status", "payout", "home_payout", "result", "outcome", "replaced", "settlements", "closed_at")

_CREATE_WAGERS = RowStatement(
    f"INSERT INTO wager ({', '.join(_CREATED)}, settlements) SELECT {', '.join(_CREATED)}, 0 FROM {{created}}",
    created={column: _KINDS.get(column, "text") for column in _CREATED},
)
_CHANGE_WAGERS = RowStatement(
    f"UPDATE wager SET {', '.join(f'{column} = changed.{column}' for column in _CHANGED)} FROM {{changed}}"
    " WHERE wager.game = changed.game AND wager.client = changed.client AND wager.uid = changed.uid",
    changed={column: _KINDS.get(column, "text") for column in (*_KEY, *_CHANGED)},
)
_RAISE_EXCEPTIONS = RowStatement(
    "INSERT INTO callback_exception (kind, game, client, bet_uid, subject, delivery_id, raised_at)"
    " SELECT kind, game, client, uid, subject, delivery_id, raised_at FROM {raised} WHERE true"
    " ON CONFLICT (game, client, bet_uid, kind, subject) DO NOTHING",
    raised={
        "kind": "text",
        "game": "text",
        "client": "text",
        "uid": "text",
        "subject": "text",
        "delivery_id": "uuid",
        "raised_at": "timestamptz",
    },
)
_REMEMBER_EARLY_CANCELS = RowStatement(
    "INSERT INTO early_cancel (game, client, uid, user_uid, cancelled_at)"
    " SELECT game, client, uid, user_uid, cancelled_at FROM {cancelled} WHERE true"
    " ON CONFLICT (game, client, uid, user_uid) DO NOTHING",
    cancelled={**dict.fromkeys((*_KEY, "user_uid"), "text"), "cancelled_at": "timestamptz"},
)
# A settlement that came before its bet needs nobody any more once the bet came and was settled.
_RESOLVE_UNKNOWN_BETS = RowStatement(
    "UPDATE callback_exception SET resolved_at = settled.at, reason = 'the bet came and was settled' FROM {settled}"
    " WHERE callback_exception.game = settled.game AND callback_exception.client = settled.client"
    " AND callback_exception.bet_uid = settled.uid AND callback_exception.kind = 'unknown_bet'"
    " AND callback_exception.resolved_at IS NULL",
    settled={**dict.fromkeys(_KEY, "text"), "at": "timestamptz"},
)
_created_values = attrgetter(*_CREATED[len(_KEY) :])
_changed_values = attrgetter(*_CHANGED)


class Callback(NamedTuple):
    """A callback on its way: what it asks, and what is stored of it. `started` is a monotonic instant in seconds."""

    id: str
    path: str
    request: Request
    brands: Mapping[str, BrandFacts]
    source: str
    body: bytes
    received_at: datetime
    started: float


class Answer(NamedTuple):
    """An HTTP status and the very body that was stored with it; `outcome` is what they say."""

    outcome: Outcome
    status: int
    body: str


Render = Callable[[Outcome], tuple[int, str]]
Locate = Callable[[str | None], str | None]


def _nowhere(_ip: str | None) -> None:
    return None


def answer(
    session: Session, callbacks: Sequence[Callback], *, render: Render, now: datetime, locate: Locate = _nowhere
) -> list[Answer]:
    """Decide and write a group of callbacks, in the order in which they arrived.

    `render` turns an outcome into the status and body that are sent, and stored in the same transaction; `locate` an
    address into its country. `now` is UTC.
    """
    book = _open_book(session, [callback.request for callback in callbacks], callbacks[-1].brands, now)
    if book.country_rules:
        places = {bet.ip for callback in callbacks for bet in _of_kind(PlaceBets, [callback.request])}
        book.countries = {ip or "": locate(ip) for ip in places}
    answers = []
    for callback in callbacks:
        book.delivery_id = callback.id
        outcome = _decide(callback.request, book)
        answers.append(Answer(outcome, *render(outcome)))
    _write(session, book, _received(callbacks, answers))
    return answers


def _decide(request: Request, book: Book) -> Outcome:
    if isinstance(request, PlaceBets):
        return place(request, book)
    if isinstance(request, SettleBets):
        return _each((bet.key.uid, settle(bet, book)) for bet in request.bets)
    if isinstance(request, CancelBets):
        return _each((bet.key.uid, cancel(bet, book)) for bet in request.bets)
    return request


def _each(results: Iterable[tuple[str, str | None]]) -> Accepted | Failed:
    failed = tuple((uid, code) for uid, code in results if code is not None)
    return Failed(failed) if failed else Accepted()


def _open_book(session: Session, requests: Sequence[Request], brands: Mapping[str, BrandFacts], now: datetime) -> Book:
    """Lock the customers, then read everything that the decisions look at."""
    bets = [bet for request in requests for bet in request.bets]
    users = {(brands[bet.key.client].id, bet.user_uid) for bet in bets if bet.key.client in brands}
    asked, keys = sorted(users), list({bet.key: None for bet in bets})
    house = sorted({account[:2] for account in _settling_accounts(requests, brands)})
    has_stakes = any(isinstance(request, PlaceBets) for request in requests)
    # A settlement may come with a reversal.
    count = sum(len(request.bets) * (2 if isinstance(request, SettleBets) else 1) for request in requests)
    calls = [
        LOCK_CUSTOMERS(asked),
        ACCOUNTS_OF_CUSTOMERS(asked),
        KNOWN_WAGERS(keys),
        EARLY_CANCELS(sorted({(*bet.key, bet.user_uid) for bet in bets})),
        ledger.next_ids(count=count),
        *([COUNTRY_RULES([(id_,) for id_ in sorted({id_ for id_, _ in asked})])] if has_stakes else []),
        *([HOUSE_ACCOUNTS(house)] if house else []),
    ]
    customers, held, wagers, cancels, ids, *others = run_together(session, calls) if bets else ([], [], [], [], [])
    journal = ledger.begin(ids, recorded_at=now)
    journal.held = held_accounts(held)
    journal.house = house_accounts(others[-1]) if house else {}
    book = Book(now, brands, customer_facts(customers), wager_states(wagers), journal)
    book.early_cancels = {(BetKey(*key), user_uid) for *key, user_uid in cancels}
    book.country_rules = country_rules(others[0]) if has_stakes else {}
    keep(session, _currencies(requests, book))
    _look_closer(session, book, requests)
    return book


def _currencies(requests: Sequence[Request], book: Book) -> set[str]:
    """The currencies of the amounts that were read from the requests, and of the customers' balances."""
    stakes = {bet.currency for bet in _of_kind(PlaceBets, requests) if bet.amount is not None}
    payouts = {bet.currency for bet in _of_kind(SettleBets, requests) if bet.payout is not None}
    return stakes | payouts | {customer.currency for customer in book.customers.values()}


def _look_closer(session: Session, book: Book, requests: Sequence[Request]) -> None:
    """Read what only some bets need: accounts to open, rates, stakes on events, settlements to reverse."""
    accounts: list[tuple[AccountName, int | None]] = [
        (account, None) for account in _settling_accounts(requests, book.brands)
    ]
    for known in book.wagers.values():
        if known.rate is not None:
            accounts += _conversions(known.currency, known.home_currency)
        if known.commission_rate is not None and known.home_currency is not None:
            accounts.append((chart.commission_income(known.key.client, known.home_currency), None))
    pairs, events = set(), set()
    for bet in _of_kind(PlaceBets, requests):
        customer = book.customer(bet.key.client, bet.user_uid)
        if customer is None:
            continue
        if bet.currency != customer.currency and bet.amount is not None:
            pairs.add((bet.currency, customer.currency))
            accounts.append((chart.open_stakes(customer.id, bet.currency), customer.id))
            accounts += _conversions(bet.currency, customer.currency)
        if customer.commission_rates:
            accounts.append((chart.commission_income(bet.key.client, customer.currency), None))
        if customer.max_stake_per_event is not None:
            events.add((customer.id, bet.key.game, bet.pool_uid))
    corrected = {
        f"{wager.key.reference}:settlement:{wager.settlements}"
        for bet in _of_kind(SettleBets, requests)
        if _is_correction(bet, wager := book.wagers.get(bet.key)) and wager is not None
    }
    _read_limits(session, book, requests)
    ledger.open_accounts(session, book.journal, accounts)
    if pairs or events or corrected:
        rates, stakes, entries = run_together(
            session,
            [
                CURRENT_RATES(sorted(pairs)),
                STAKES_ON_EVENTS(sorted(events)),
                ENTRIES_OF_REFERENCES([(reference,) for reference in sorted(corrected)]),
            ],
        )
        book.rates = {(source, target): rate for source, target, rate in rates}
        book.events = events_of_coupons(stakes)
        book.event_stakes = event_stakes(stakes, book.event)
        book.posted = lines_by_reference(entries)


def _read_limits(session: Session, book: Book, requests: Sequence[Request]) -> None:
    """The limits of the customers who have some or are bound by defaults, and what counts against them."""
    found = {}
    for bet in _of_kind(PlaceBets, requests):
        customer = book.customer(bet.key.client, bet.user_uid)
        if customer is None:
            continue
        brand = book.brands[bet.key.client]
        if customer.limited or defaults_bind_bets(brand, customer.currency):
            found[customer.id] = brand, customer.currency
    if not found:
        return
    ids = [(id_,) for id_ in sorted(found)]
    since = [(id_, found[id_][0].booking_day(book.now) - LONGEST) for (id_,) in ids]
    limits, usage, sessions = run_together(session, [LIVE_LIMITS(ids), USAGE_SINCE(since), PLAY_SESSIONS(ids)])
    book.usage.load(usage, found)
    live = limits_by_customer(limits)
    book.limits = {
        id_: bounds_of(id_, live.get(id_, []), *found[id_], play=play, now=book.now)
        for id_, play in play_sessions(sessions).items()
    }


def _of_kind(kind: type[Any], requests: Sequence[Request]) -> Iterator[Any]:
    return (bet for request in requests if isinstance(request, kind) for bet in request.bets)


def _conversions(*currencies: str | None) -> list[tuple[AccountName, None]]:
    return [(chart.conversion(currency), None) for currency in currencies if currency is not None]


def _is_correction(bet: SettleBet, wager: WagerState | None) -> bool:
    return (
        wager is not None
        and wager.status == "settled"
        and bet.payout is not None
        and outcome_of(bet.payout, bet.result, wager) != wager.outcome
    )


def _settling_accounts(requests: Sequence[Request], brands: Mapping[str, BrandFacts]) -> set[AccountName]:
    return {
        account(bet.key.client, bet.key.game, bet.currency)
        for bet in _of_kind(SettleBets, requests)
        if bet.payout is not None and bet.key.client in brands
        for account in (chart.stakes_income, chart.winnings_expense)
    }


def _write(session: Session, book: Book, received: Sequence[deliveries.Received]) -> None:
    created = {wager.key for wager in book.created}
    changed = [wager for key, wager in book.changed.items() if key not in created]
    calls = ledger.writes(book.journal, dialect=session.get_bind().dialect.name)
    if created:
        calls.append(_CREATE_WAGERS([(*wager.key, *_created_values(wager)) for wager in book.created]))
    if changed:
        calls.append(_CHANGE_WAGERS([(*wager.key, *_changed_values(wager)) for wager in changed]))
    if book.exceptions:
        raised = [(one.kind, *one.key, one.subject, one.delivery_id, book.now) for one in book.exceptions]
        calls.append(_RAISE_EXCEPTIONS(raised))
    if book.new_early_cancels:
        calls.append(_REMEMBER_EARLY_CANCELS([(*key, user_uid, book.now) for key, user_uid in book.new_early_cancels]))
    if book.first_settled:
        calls.append(_RESOLVE_UNKNOWN_BETS([(*key, book.now) for key in book.first_settled]))
    calls += book.usage.writes()
    bettors = (wager.customer_id for wager in book.created if wager.cost is not None and wager.customer_id is not None)
    calls += sessions_to_keep(book.limits, bettors, book.now)
    if received:
        calls += deliveries.records(received)
    ledger.check_written(book.journal, write_at_once(session, calls))
    if len(changed) < len(book.changed):  # came and went in the same group: the row must be there first
        both = [wager for key, wager in book.changed.items() if key in created]
        write_at_once(session, [_CHANGE_WAGERS([(*wager.key, *_changed_values(wager)) for wager in both])])


def _received(callbacks: Sequence[Callback], answers: Sequence[Answer]) -> list[deliveries.Received]:
    finished = clock.monotonic()
    return [
        deliveries.Received(
            callback.id,
            callback.path,
            callback.received_at,
            callback.source,
            callback.body,
            given.status,
            given.body,
            int((finished - callback.started) * 1_000_000),
            [str(bet.key) for bet in callback.request.bets],
        )
        for callback, given in zip(callbacks, answers, strict=True)
    ]


def resettle(
    session: Session,
    key: BetKey,
    *,
    payout: int,
    result: str | None,
    reason: str,
    brands: Mapping[str, BrandFacts],
    now: datetime,
) -> None:
    """A person settles a wager again, whatever was settled before; `payout` in minor units of its currency.

    The reason is kept with the transactions.

    Raises NotFoundError for an unknown wager, RefusedError where it was not settled or the brand's policy refuses.
    """
    (found,) = run_together(session, [KNOWN_WAGERS([key])])
    if not found:
        raise NotFoundError(f"no wager {key.uid!r} of {key.game}, brand {key.client!r}")
    before = wager_states(found)[key]
    if before.status != "settled" or before.currency is None:
        raise RefusedError("not_settled", f"the wager is {before.status}, not settled")
    bet = SettleBet(key, before.user_uid, before.currency, payout, result)
    book = _open_book(session, [SettleBets((bet,))], brands, now)
    book.reason = reason
    wager = book.wagers[key]
    if outcome_of(payout, result, wager) == wager.outcome:
        return
    if (code := settle_again(wager, payout, result, book)) is not None:
        raise RefusedError(code, "the brand's policy refuses a correction that takes back more than there is")
    _write(session, book, [])


def map_events(session: Session, rows: Iterable[Sequence[str]]) -> int:
    """Store (game, coupon, event) rows, replacing what was said of a coupon before. Raises RefusedError for a bad row.

    Bets that commit after it see it; stakes that are open already are counted anew.
    """
    count = 0
    for count, row in enumerate(rows, start=1):
        if len(row) != 3 or not all(0 < len(text) <= 64 and text.isprintable() for text in row):
            raise RefusedError("bad_row", f"row {count}: three columns of 1 to 64 printable characters are expected")
        session.merge(CouponEvent(game=row[0], pool_uid=row[1], event=row[2]))
    return count
