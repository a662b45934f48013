"""Making fixtures of the callbacks that a database has stored."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, NamedTuple

from sqlalchemy import Select, String, cast, func, select, text
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, ExchangeRate, Transaction
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, SESSION
from wallet_hooks.replay.fixture import VERSION, addresses_of, bets_of, unique
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.source import read_address

_BATCH = 500
# What was turned away before its body was read, and a request that is turned away for the same.
_UNREAD: dict[int, dict[str, str | None]] = {
    411: {"Content-Length": None},
    413: {"Content-Length": str(2**40)},
    415: {"Content-Type": "text/plain"},
}


class CaptureFilter(NamedTuple):
    """Which deliveries: received in a time (its end is not in it), naming a bet, answered with a status."""

    first: datetime | None = None
    last: datetime | None = None
    bet: str | None = None
    status: int | None = None


class Recorder:
    """Turns stored deliveries into the lines of a capture.

    Each line has what was given for the customers that it is the first to name: their balances are those before the
    first delivery of the capture. What is about bets that were taken before it is left out, and counted, and so is what
    was forbidden: the role or the address that it lacked is not kept.
    """

    def __init__(self, session: Session, wanted: CaptureFilter, countries: Countries) -> None:
        self._session = session
        self._wanted = wanted
        self._countries = countries
        self._located: set[str] = set()
        self._begins: datetime | None = None
        self._known: set[tuple[str, str]] = set()
        self.left_out = 0

    def lines(self) -> Iterator[dict[str, Any]]:
        deliveries = self._session.scalars(_deliveries(self._session, self._wanted).execution_options(yield_per=_BATCH))
        for delivery in deliveries:
            if self._begins is None:
                self._begins = delivery.received_at
            request = _request(delivery)
            if delivery.status == 403 or self._is_about_earlier(bets_of(request)):
                self.left_out += 1
                continue
            yield self._line(delivery, request)

    def _line(self, delivery: Delivery, request: dict[str, Any]) -> dict[str, Any]:
        line: dict[str, Any] = {
            "v": VERSION,
            "name": delivery.id.hex,
            "at": delivery.received_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request": request,
            "expect": {"status": delivery.status, "body": json.loads(delivery.answer)},
            "tags": ["capture"],
            "source": "capture",
        }
        if delivery.status in _UNREAD:
            request["headers"] = _UNREAD[delivery.status]
        if delivery.status == 401:
            request["sign"] = False
        if not ip_address(delivery.source or "127.0.0.1").is_loopback:
            request["from"] = delivery.source
        new = {(bet["brand"], bet["user"]): None for bet in bets_of(request)}
        asked = [who for who in new if who not in self._known]
        self._known |= set(asked)
        given = self._given(asked) if asked else {}
        if countries := list(self._countries_of(request)):
            given["countries"] = countries
        if given:
            line["given"] = given
        return line

    def _countries_of(self, request: dict[str, Any]) -> Iterator[dict[str, str | None]]:
        """The countries of addresses that are new, where the brand of the bet has rules about them."""
        for client, ip in addresses_of(request):
            address = read_address(ip)
            if address is not None and ip not in self._located and self._has_country_rules(client):
                self._located.add(ip)
                yield {"address": ip, "country": self._countries.of(address)}

    def _has_country_rules(self, client: str) -> bool:
        brand = self._session.scalar(select(Brand).where(Brand.client == client))
        return brand is not None and bool(brand.allowed_countries or brand.denied_countries)

    def _is_about_earlier(self, bets: Sequence[dict[str, str]]) -> bool:
        keys = [(bet["game"], bet["brand"], bet["bet"]) for bet in bets]
        return any(
            (wager := self._session.get(Wager, key)) is not None and wager.placed_at < (self._begins or wager.placed_at)
            for key in keys
        )

    def _given(self, who: Iterable[tuple[str, str]]) -> dict[str, Any]:
        given: dict[str, list[dict[str, Any]]] = {"brands": [], "customers": [], "limits": [], "rates": []}
        for client, uid in who:
            query = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id)
            found = self._session.execute(query.where(Brand.client == client, Customer.uid == uid)).one_or_none()
            if found is not None:
                customer, brand = found
                given["brands"].append(self._brand(brand))
                given["customers"].append(self._customer(customer, client))
                given["limits"] += self._limits(customer, client)
                given["rates"] += self._rates(customer)
        unique = {name: [one for n, one in enumerate(ones) if one not in ones[:n]] for name, ones in given.items()}
        return {name: ones for name, ones in unique.items() if ones}

    def _brand(self, brand: Brand) -> dict[str, Any]:
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
            "providers": [{"game": one.game, "auth": one.auth, "allow": one.allow} for one in providers],
        }

    def _customer(self, customer: Customer, client: str) -> dict[str, Any]:
        currency = customer.currency
        facts: dict[str, Any] = {
            "brand": client,
            "uid": customer.uid,
            "currency": currency,
            "balance": money.format_amount(self._opening(customer), currency),
            "credit_limit": money.format_amount(customer.credit_limit, currency),
            "roles": customer.roles,
            "active": customer.active,
            "locked": customer.locked,
        }
        if customer.commission_rates:
            rates = customer.commission_rates
            facts["commission_rates"] = [{"from": day.isoformat(), "percent": percent} for day, percent in rates]
        if customer.max_stake_per_event is not None:
            facts["stake_limit"] = money.format_amount(customer.max_stake_per_event, currency)
        for name, value in (("expires_at", customer.expires_at), ("logged_in_at", _login(customer))):
            if value is not None:
                facts[name] = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return facts

    def _opening(self, customer: Customer) -> int:
        """What the wallet held before the capture's first delivery, in minor units."""
        wallet = chart.player(customer.id, customer.currency)
        query = (
            select(func.coalesce(func.sum(Entry.amount), 0))
            .join(Account, Account.id == Entry.account_id)
            .join(Transaction, Transaction.id == Entry.transaction_id)
            .where(Account.name == wallet.name, Account.currency == wallet.currency)
            .where(Transaction.recorded_at < self._begins)
        )
        return -int(self._session.scalar(query) or 0)

    def moved_beside(self) -> int:
        """How many of the capture's customers had money moved by something else while it was recorded."""
        if self._begins is None:
            return 0
        others = ("stake", "cancel", "settlement", "reversal")
        query = (
            select(Brand.client, Customer.uid)
            .distinct()
            .join(Customer, Customer.brand_id == Brand.id)
            .join(Account, Account.holder_id == Customer.id)
            .join(Entry, Entry.account_id == Account.id)
            .join(Transaction, Transaction.id == Entry.transaction_id)
            .where(Transaction.recorded_at >= self._begins, Transaction.kind.not_in(others))
        )
        return len({tuple(row) for row in self._session.execute(query)} & self._known)

    def _limits(self, customer: Customer, client: str) -> Iterator[dict[str, Any]]:
        query = select(PlayerLimit).where(PlayerLimit.customer_id == customer.id, PlayerLimit.status == ACTIVE)
        for limit in self._session.scalars(query.order_by(PlayerLimit.id)):
            if limit.amount is None:
                continue
            told: dict[str, Any] = {"brand": client, "uid": customer.uid, "type": limit.type}
            if limit.frame == SESSION:
                yield told | {"amount": str(limit.amount)}
            else:
                yield told | {"frame": limit.frame, "amount": money.format_amount(limit.amount, customer.currency)}

    def _rates(self, customer: Customer) -> Iterator[dict[str, Any]]:
        query = select(ExchangeRate).where(ExchangeRate.target == customer.currency).order_by(ExchangeRate.valid_from)
        newest = {rate.source: rate for rate in self._session.scalars(query)}
        for source, rate in sorted(newest.items()):
            yield {"source": source, "target": rate.target, "rate": rate.rate}


def _login(customer: Customer) -> datetime | None:
    """The login with which the play session began: later ones went on with it."""
    return customer.last_login_at and (customer.session_began_at or customer.last_login_at)


def _deliveries(session: Session, wanted: CaptureFilter) -> Select[Any]:
    """In the order in which they were decided: it is the order of their rows."""
    column = "sequence" if session.get_bind().dialect.name == "postgresql" else "rowid"
    query = select(Delivery).order_by(text(f"delivery.{column}"))
    if wanted.first is not None:
        query = query.where(Delivery.received_at >= wanted.first)
    if wanted.last is not None:
        query = query.where(Delivery.received_at < wanted.last)
    if wanted.status is not None:
        query = query.where(Delivery.status == wanted.status)
    if wanted.bet is not None:
        named = cast(DeliveryBet.bet, String)
        is_named = (named == wanted.bet) | named.endswith(f":{wanted.bet}", autoescape=True)
        query = query.where(Delivery.id.in_(select(DeliveryBet.delivery_id).where(is_named)))
    return query


def _request(delivery: Delivery) -> dict[str, Any]:
    """The request, with its body as JSON where that says the same, and else as bytes."""
    request: dict[str, Any] = {"method": "POST", "path": delivery.path}
    try:
        body = json.loads(delivery.body.decode(), object_pairs_hook=unique, parse_float=_same, parse_constant=_refuse)
        json.dumps(body, ensure_ascii=False).encode()  # half a character cannot be written
    except (ValueError, RecursionError):
        return request | {"body_b64": base64.b64encode(delivery.body).decode()}
    return request | ({"body": body} if body is not None else {"body_b64": base64.b64encode(delivery.body).decode()})


def _same(number: str) -> float:
    """A fraction that is written again as it came."""
    read = float(number)
    return read if repr(read) == number else _refuse(number)


def _refuse(number: str) -> Any:
    raise ValueError(f"{number} cannot be written as it came")
