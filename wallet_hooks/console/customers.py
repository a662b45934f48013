"""Pages of customers: search, and one with its money, credit, limits, statement and sessions."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.accounts_api.funds import funds_of
from wallet_hooks.console.limits import used_limits
from wallet_hooks.console.paging import PAGE, READ, Listed, newest_items, take_page
from wallet_hooks.console.rendering import Html
from wallet_hooks.console.texts import number
from wallet_hooks.console.visits import Visit
from wallet_hooks.customers.credit import credit_limit_changes
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.overview import customer_row
from wallet_hooks.customers.queries import balances_of_customers, customer_by_uid
from wallet_hooks.customers.usernames import folded
from wallet_hooks.database import reading
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand, LoginSession
from wallet_hooks.identity.service import all_clients
from wallet_hooks.identity.tokens import is_idle
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.ledger.queries import account_id
from wallet_hooks.limits import service as limits
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.overview import overview_of
from wallet_hooks.limits.rules import PENDING, SESSION
from wallet_hooks.sportsbook.messages import BetKey

_SHOWN_SESSIONS = 20
_SHOWN_LIMITS = 50


def search(visit: Visit) -> Html:
    """List customers of all brands or of one, by the beginning of their id or username."""
    text, client = visit.query("q"), visit.query("brand")
    after = number(visit.query("after"), "page") if visit.query("after") else 0
    with reading(visit.engine) as session:
        rows = session.execute(_matching(text, client, after)).all()
        found = take_page(rows, lambda row: row.Customer.id)
        balances = balances_of_customers(session, [row.Customer for row in found.rows])
        shown = [customer_row(row.Customer, row.Brand, balances[row.Customer.id]) for row in found.rows]
        brands = all_clients(session)
    given = {"q": text, "brand": client}
    values = {"given": given, "brands": brands, "found": Listed(shown, found.next)}
    return Html("customers.html", values | {"shown": {name: value for name, value in given.items() if value}})


def show(visit: Visit, client: str, uid: str) -> Html:
    """Show a customer: money, credit, limits, a page of its statement, and its newest sessions."""
    now = visit.request.now
    with reading(visit.engine) as session:
        customer, brand = customer_by_uid(session, client=client, uid=uid)
        funds = funds_of(session, customer)
        player = limits.player_of(customer, brand_facts(brand))
        current = limits.CurrentLimits(session, player, now=now)
        usage = limits.usage_of(session, player, now=now)
        after = visit.query("after")
        values: dict[str, Any] = {
            "customer": customer,
            "facts": overview_of(session, customer, brand, now=now),
            "exposure": money.format_amount(funds.exposure, customer.currency),
            "wallets": [(name, money.format_amount(minor, customer.currency)) for name, minor in funds.wallets.items()],
            "accounts": _accounts(session, customer),
            "credit": credit_limit_changes(session, customer)[-PAGE:],
            "limit_rows": {row.id: row for row in _live_limits(session, customer)},
            "used_limits": list(used_limits(current, usage)),
            "time_limits": [limit for limit in current.in_force() if limit.frame == SESSION],
            "pending": [limit for limit in current.limits if limit.status == PENDING],
            "past_limits": _past_limits(session, customer),
            "statement": _statement(session, customer, before=number(after, "page") if after else None),
            "logins": _logins(session, customer, now=now, idle=visit.console.settings.login_idle),
        }
    return Html("customer.html", values)


def _matching(text: str, client: str, after: int) -> Any:
    """Return the query of a page of customers. A text is the beginning of an id or, in any case, of a username."""
    query: Any = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id).where(Customer.id > after)
    if client:
        query = query.where(Brand.client == client)
    if text:
        # Each side has an index; the ids are few enough to be sorted.
        # The comparison of substr keeps the case of ids, which LIKE ignores on SQLite.
        is_prefix = (Customer.uid.startswith(text, autoescape=True), func.substr(Customer.uid, 1, len(text)) == text)
        by_uid = select(Customer.id).where(*is_prefix)
        by_uid = by_uid.where(Customer.brand_id.in_(select(Brand.id)))
        by_name = select(Customer.id).where(func.lower(Customer.username).startswith(folded(text), autoescape=True))
        query = query.where(Customer.id.in_(by_uid.union(by_name)))
    return query.order_by(Customer.id).limit(READ)


def _statement(session: Session, customer: Customer, *, before: int | None) -> Listed[dict[str, Any]]:
    """Return a page of the betting wallet's items, newest first, each with the balance after it; credit positive."""
    account = account_id(session, chart.player(customer.id, customer.currency))
    found = newest_items(session, account, before=before)
    return Listed([_item(row.Entry, row.Transaction) for row in found.rows], found.next)


def _item(entry: Entry, transaction: Transaction) -> dict[str, Any]:
    return {
        "number": entry.version,
        "transaction": transaction,
        "bet": BetKey.of_reference(transaction.reference),
        "amount": money.format_amount(-entry.amount, entry.currency),
        "balance": money.format_amount(-(entry.balance_after or 0), entry.currency),
    }


def _accounts(session: Session, customer: Customer) -> list[Account]:
    query = select(Account).where(Account.holder_id == customer.id)
    return list(session.scalars(query.order_by(Account.id)))


def _live_limits(session: Session, customer: Customer) -> list[PlayerLimit]:
    query = select(PlayerLimit).where(PlayerLimit.customer_id == customer.id, PlayerLimit.ended_at.is_(None))
    return list(session.scalars(query))


def _past_limits(session: Session, customer: Customer) -> list[PlayerLimit]:
    query = select(PlayerLimit).where(PlayerLimit.customer_id == customer.id, PlayerLimit.ended_at.is_not(None))
    return list(session.scalars(query.order_by(PlayerLimit.id.desc()).limit(_SHOWN_LIMITS)))


def _logins(session: Session, customer: Customer, *, now: datetime, idle: timedelta) -> list[tuple[LoginSession, bool]]:
    """Return the newest login sessions, and whether each has ended."""
    query = select(LoginSession).where(LoginSession.customer_id == customer.id)
    newest = session.scalars(query.order_by(LoginSession.used_at.desc()).limit(_SHOWN_SESSIONS))
    return [(row, row.ended or is_idle(row.used_at, now=now, idle=idle)) for row in newest]
