"""Record fixtures from stored deliveries, with the preconditions that they need."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, String, cast, func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.betslips.intake import MESSAGES_PATH
from wallet_hooks.customers.models import Customer
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.deliveries.queries import decision_order
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.ledger.queries import BETTING_KINDS
from wallet_hooks.ledger.rates import rates_into
from wallet_hooks.limits.enforcement import BET_TYPES, LONGEST_WINDOW, defaults_bind_bets
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, REPLACED
from wallet_hooks.replay.batch_facts import (
    CapturedCustomer,
    count_bettors,
    find_in_progress,
    find_placed_elsewhere,
    read_customers,
    read_placed_at,
)
from wallet_hooks.replay.betslips import StoredMessages, find_bets_of_betslips
from wallet_hooks.replay.bodies import body_member, decode_body
from wallet_hooks.replay.captured_customers import given_customer, given_limits
from wallet_hooks.replay.fixture import VERSION, find_addresses, find_bets, instant_text
from wallet_hooks.sportsbook.messages import BetKey, PlaceBet
from wallet_hooks.sportsbook.routes import UNAUTHENTICATED_BODY_CAP
from wallet_hooks.text_checks import is_storable
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.source import read_address

_BATCH = 500
# Statuses of requests that may have moved money: where some of several bets failed, the others did.
_POSTING = (200, 402, 404, 409)
# Statuses that reject a request before its body is read, and the headers that cause the same rejection.
_REJECTED_UNREAD: dict[int, dict[str, str | None]] = {
    411: {"Content-Length": None},
    413: {"Content-Length": str(2**40)},
    415: {"Content-Type": "text/plain"},
}


class CaptureFilter(NamedTuple):
    """Criteria for deliveries: received from `first` until before `last` (UTC), about a bet, answered with a status.

    `ids` are those of the only deliveries to record.
    """

    first: datetime | None = None
    last: datetime | None = None
    bet: str | None = None
    status: int | None = None
    ids: Collection[UUID] | None = None


class Recorder:
    """Turns stored deliveries into the lines of a capture.

    A line has the preconditions of customers that no earlier line names; balances are those before the first delivery
    of the capture, limits those after its last one. A bet has the earlier messages of its betslip that are in no line.
    Left out and counted are deliveries about bets that it lacks, those that were answered with
    403, because the role or address that they lacked is not stored, and unsigned ones whose body is not stored whole.
    """

    def __init__(self, session: Session, criteria: CaptureFilter, countries: Countries) -> None:
        self._session = session
        self._criteria = criteria
        self._countries = countries
        self._located: set[str] = set()
        self._started_at: datetime | None = None
        self._last_at: datetime | None = None
        self._in_progress: Collection[int] = ()  # transactions of earlier callbacks that were decided in the capture
        self._messages = StoredMessages(session, _deliveries(session, criteria))
        self._brands: set[str] = set()
        self._facts: dict[str, dict[str, Any]] = {}  # of brands
        self._with_country_rules: dict[str, bool] = {}
        self._rated: set[str] = set()
        self._secrets: list[set[str]] = []
        self._recorded: set[tuple[str, str]] = set()
        self._placed_at: Mapping[BetKey, datetime] = {}
        self._elsewhere: Collection[BetKey] = ()  # bets whose callbacks are not among those that are seen
        self._customers: Mapping[tuple[str, str], CapturedCustomer] = {}
        self._limited: set[int] = set()  # ids of customers with limits on bets
        self._left_out: set[tuple[str, str]] = set()  # customers of deliveries that are left out
        self.left_out = self.left_out_cut = 0

    def lines(self) -> Iterator[dict[str, Any]]:
        query = _deliveries(self._session, self._criteria)
        self._last_at = self._session.scalar(query.order_by(None).with_only_columns(func.max(Delivery.received_at)))
        if self._criteria.first is not None:
            self._in_progress = find_in_progress(self._session, self._criteria.first)
        batches = self._session.scalars(query.execution_options(yield_per=_BATCH)).partitions(_BATCH)
        for deliveries in batches:
            if self._started_at is None:
                self._started_at = deliveries[0].received_at
            requests = [
                {"method": "POST", "path": delivery.path, **body_member(delivery.body)} for delivery in deliveries
            ]
            self._read_facts(requests)
            for delivery, request in zip(deliveries, requests, strict=True):
                if delivery.status == 401 and _is_cut(delivery.body, request):
                    self.left_out_cut += 1
                elif delivery.status == 403 or self._is_about_missing_bet(request):
                    self.left_out += 1
                    if delivery.status in _POSTING:
                        self._left_out.update((bet["brand"], bet["user"]) for bet in _named_bets(request))
                else:
                    yield self._line(delivery, request)

    def _read_facts(self, requests: Sequence[dict[str, Any]]) -> None:
        """Read what a batch of requests names."""
        bets = [bet for request in requests for bet in _named_bets(request)]
        self._placed_at = read_placed_at(self._session, map(_key_of, bets))
        self._elsewhere = find_placed_elsewhere(self._session, self._placed_at)
        names = dict.fromkeys((bet["brand"], bet["user"]) for bet in bets)
        self._customers = read_customers(
            self._session,
            (name for name in names if name not in self._recorded),
            began=self._started_at,
            in_progress=self._in_progress,
            ended=self._last_at,
        )

    def _line(self, delivery: Delivery, request: dict[str, Any]) -> dict[str, Any]:
        line: dict[str, Any] = {
            "v": VERSION,
            "name": str(delivery.id),
            "at": instant_text(delivery.received_at),
            "request": request,
            "expect": {"status": delivery.status, "body": json.loads(delivery.answer)},
            "tags": ["capture"],
            "source": "capture",
        }
        if delivery.status in _REJECTED_UNREAD:
            request["headers"] = _REJECTED_UNREAD[delivery.status]
        sender = self._messages.find_sender(delivery) if delivery.path == MESSAGES_PATH else None
        if delivery.status == 401:
            request["sign"] = False
        elif sender is not None:
            request["sign"] = {"brand": sender[0], "game": sender[1]}
        if not ip_address(delivery.source or "127.0.0.1").is_loopback:
            request["from"] = delivery.source
        if given := self._given(delivery, request, None if sender is None else sender[0]):
            line["given"] = given
        return line

    def _countries_of(self, request: dict[str, Any]) -> Iterator[dict[str, str | None]]:
        """Yield the countries of addresses not yet recorded, if the bet's brand has country rules."""
        for client, ip in find_addresses(request):
            address = read_address(ip)
            if address is not None and ip not in self._located and self._has_country_rules(client):
                self._located.add(ip)
                yield {"address": ip, "country": self._countries.of(address)}

    def _has_country_rules(self, client: str) -> bool:
        if not is_storable(client):
            return False
        if client not in self._with_country_rules:
            brand = self._session.scalar(select(Brand).where(Brand.client == client))
            has_rules = brand is not None and bool(brand.allowed_countries or brand.denied_countries)
            self._with_country_rules[client] = has_rules
        return self._with_country_rules[client]

    def _is_about_missing_bet(self, request: dict[str, Any]) -> bool:
        """Return whether a bet of the request was placed by a callback that the capture does not have."""
        keys = [_key_of(bet) for bet in _named_bets(request)]
        placed = (self._placed_at.get(key) for key in keys)
        is_earlier = any(instant is not None and instant < (self._started_at or instant) for instant in placed)
        return is_earlier or any(key in self._elsewhere for key in keys)

    def _given(self, delivery: Delivery, request: dict[str, Any], sender: str | None) -> dict[str, Any]:
        """Return the preconditions of a delivery that earlier lines do not have; `sender` is the brand of messages."""
        given: dict[str, list[dict[str, Any]]] = {"brands": [], "customers": [], "limits": [], "rates": []}
        for client, uid in dict.fromkeys((bet["brand"], bet["user"]) for bet in _named_bets(request)):
            if (client, uid) not in self._recorded:
                self._recorded.add((client, uid))
                self._add_customer(given, client, uid)
        if sender is not None:
            self._add_brand(given, sender)
        given["countries"] = list(self._countries_of(request))
        betslips = [one for bet in find_bets_of_betslips(request) for one in self._betslips(given, bet, delivery)]
        distinct = {name: [one for n, one in enumerate(items) if one not in items[:n]] for name, items in given.items()}
        return {name: items for name, items in (distinct | {"betslips": betslips}).items() if items}

    def _add_customer(self, given: dict[str, list[dict[str, Any]]], client: str, uid: str) -> None:
        captured = self._customers.get((client, uid))
        if captured is not None:
            self._brands.add(client)
            given["brands"].append(self._brand(captured.brand))
            given["customers"].append(given_customer(captured))
            given["limits"] += given_limits(captured)
            if _limits_bets(captured):
                self._limited.add(captured.customer.id)
            given["rates"] += self._rates(captured.customer.currency)

    def _add_brand(self, given: dict[str, list[dict[str, Any]]], client: str) -> None:
        if client not in self._brands:
            self._brands.add(client)
            brand = self._session.scalars(select(Brand).where(Brand.client == client)).one()
            given["brands"].append(self._brand(brand))

    def _betslips(
        self, given: dict[str, list[dict[str, Any]]], bet: PlaceBet, delivery: Delivery
    ) -> Iterator[dict[str, Any]]:
        """Yield the messages of a bet's betslip that the capture has no lines for, and add the rates for its bounds."""
        betslip = self._messages.find_betslip(bet)
        if betslip is None:
            return
        self._add_brand(given, bet.key.client)
        given["rates"] += self._rates(bet.currency)
        for messages in self._messages.read_until(betslip, delivery.received_at):
            yield {"brand": bet.key.client, "game": bet.key.game, **body_member(messages, "messages")}

    def _brand(self, brand: Brand) -> dict[str, Any]:
        if brand.client not in self._facts:
            self._facts[brand.client] = self._facts_of(brand)
        return self._facts[brand.client]

    def _facts_of(self, brand: Brand) -> dict[str, Any]:
        providers = self._session.scalars(select(Provider).where(Provider.brand_id == brand.id).order_by(Provider.game))
        return {
            "client": brand.client,
            "currency": brand.currency,
            "timezone": brand.timezone,
            "day_start": brand.day_start,
            "preset": brand.policy.get("preset"),
            "policy": brand.policy.get("limits", {}),
            "corrections": brand.policy.get("corrections", "debt"),
            "allow_countries": brand.allowed_countries,
            "deny_countries": brand.denied_countries,
            "providers": [self._provider(provider) for provider in providers],
        }

    def _provider(self, provider: Provider) -> dict[str, Any]:
        facts = {"game": provider.game, "auth": provider.auth, "allow": provider.allow}
        return facts | ({"credentials": self._number_of({*provider.secrets})} if provider.secrets else {})

    def _number_of(self, secrets: set[str]) -> int:
        """Return a number for references to secrets, the same where one of them had it already."""
        for number, known in enumerate(self._secrets):
            if known & secrets:
                known.update(secrets)
                return number
        self._secrets.append(secrets)
        return len(self._secrets) - 1

    def count_other_movements(self) -> int:
        """Count the capture's customers whose money other transactions than the capture's moved meanwhile.

        They are payments and the like, and those of callbacks that are left out.
        """
        if self._started_at is None:
            return 0
        query = (
            select(Brand.client, Customer.uid)
            .distinct()
            .join(Customer, Customer.brand_id == Brand.id)
            .join(Account, Account.holder_id == Customer.id)
            .join(Entry, Entry.account_id == Account.id)
            .join(Transaction, Transaction.id == Entry.transaction_id)
            .where(Transaction.recorded_at.between(self._started_at, self._last_at))
            .where(Transaction.kind.not_in(BETTING_KINDS))
        )
        moved = {tuple(row) for row in self._session.execute(query)} | self._left_out
        return len(moved & self._recorded)

    def count_used_limits(self) -> int:
        """Count the capture's customers with limits on bets who placed some before the capture, as these may count."""
        if self._started_at is None:
            return 0
        began = self._started_at
        return count_bettors(self._session, sorted(self._limited), since=began - LONGEST_WINDOW, until=began)

    def count_changed_limits(self) -> int:
        """Count the capture's customers of whom a limit on bets came into force or ended during the capture."""
        if self._started_at is None:
            return 0
        changed = (getattr(PlayerLimit, name) for name in ("effective_at", "swapped_at", "ended_at"))
        meanwhile = or_(*(instant.between(self._started_at, self._last_at) for instant in changed))
        query = (
            select(Brand.client, Customer.uid)
            .distinct()
            .join(Customer, Customer.brand_id == Brand.id)
            .join(PlayerLimit, PlayerLimit.customer_id == Customer.id)
            .where(meanwhile, PlayerLimit.status.in_([ACTIVE, REPLACED]), PlayerLimit.type != "deposit")
        )
        return len(self._recorded & {tuple(row) for row in self._session.execute(query)})

    def _rates(self, target: str) -> Iterator[dict[str, Any]]:
        """Yield the rates into a currency, unless an earlier line has them."""
        if target not in self._rated:
            self._rated.add(target)
            for source, rate in sorted(rates_into(self._session, target).items()):
                yield {"source": source, "target": target, "rate": rate}


def _limits_bets(captured: CapturedCustomer) -> bool:
    """Return whether limits of a customer's own, or its brand's defaults, bind its bets."""
    own = any(limit.type in BET_TYPES for limit in captured.limits)
    return own or defaults_bind_bets(brand_facts(captured.brand), captured.customer.currency)


def _is_cut(body: bytes, request: Mapping[str, Any]) -> bool:
    """Return whether an unauthenticated request's body was too long to be stored whole."""
    return len(body) >= UNAUTHENTICATED_BODY_CAP and decode_body(request) is None


def _named_bets(request: dict[str, Any]) -> list[dict[str, str]]:
    """Return the bets of a request that can be in the database."""
    return [bet for bet in find_bets(request) if is_storable("".join(bet.values()))]


def _key_of(bet: dict[str, str]) -> BetKey:
    return BetKey(bet["game"], bet["brand"], bet["bet"])


def _deliveries(session: Session, criteria: CaptureFilter) -> Select[Any]:
    """Return a query of the matching deliveries in the order of their rows, in which they were decided.

    Messages from the platform's stream, which have no source, are not requests that can be sent again.
    """
    is_request = or_(Delivery.path != MESSAGES_PATH, Delivery.source != "")
    query = select(Delivery).where(is_request).order_by(decision_order(session))
    if criteria.first is not None:
        query = query.where(Delivery.received_at >= criteria.first)
    if criteria.last is not None:
        query = query.where(Delivery.received_at < criteria.last)
    if criteria.status is not None:
        query = query.where(Delivery.status == criteria.status)
    if criteria.ids is not None:
        query = query.where(Delivery.id.in_(criteria.ids))
    if criteria.bet is not None:
        stored = cast(DeliveryBet.bet, String)
        matches = (stored == criteria.bet) | stored.endswith(f":{criteria.bet}", autoescape=True)
        query = query.where(Delivery.id.in_(select(DeliveryBet.delivery_id).where(matches)))
    return query
