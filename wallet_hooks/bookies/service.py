"""Bookmaker accounts: add them, choose them for a customer, refresh their balances."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.bookies.adapters import ADAPTERS, BalanceQuery
from wallet_hooks.bookies.models import Bookie, BookieAccount, TagRules
from wallet_hooks.bookies.schemas import read_tag_rules
from wallet_hooks.bookies.tag_rules import INCLUDE_ALL, Choice, TagRule, choose
from wallet_hooks.customers.commission import parse_percent
from wallet_hooks.customers.models import Customer, Group
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.identity.secrets import check_reference
from wallet_hooks.ledger.currencies import store_currencies
from wallet_hooks.text_checks import MAX_URL, is_web_url


def set_bookie(session: Session, *, code: str, adapter: str, url: str, secret: str | None) -> None:
    """Add a bookmaker, or change its adapter, URL and secret.

    `code` is a BookieCode, `adapter` one of ADAPTERS. Raises RefusedError for an invalid URL or reference to a secret.
    """
    if not is_web_url(url):
        raise RefusedError("bad_value", f"url: http://… or https://… is expected, at most {MAX_URL} characters")
    reference = None if secret is None else check_reference(secret)
    session.merge(Bookie(code=code, adapter=adapter, url=url, secret=reference))
    session.flush()


def add_account(
    session: Session,
    *,
    group: Group,
    bookie: str,
    username: str,
    currency: str,
    agent: str = "",
    stake_share: str = "100",
    tags: Sequence[str] = (),
) -> BookieAccount:
    """Add a group's account at a bookmaker: a Label as username, and Tags. `stake_share` is a percentage.

    Raises NotFoundError for an unknown bookmaker, ConflictError for a username that exists there already, and
    RefusedError for an invalid share.
    """
    money.check_offered(currency)
    store_currencies(session.connection(), [currency])
    if session.get(Bookie, bookie) is None:
        raise NotFoundError(f"no bookmaker {bookie!r}")
    existing = select(BookieAccount.id).where(BookieAccount.bookie == bookie, BookieAccount.username == username)
    if session.scalar(existing) is not None:
        raise ConflictError(f"account {username!r} at {bookie!r} exists already")
    account = BookieAccount(
        group_id=group.id,
        bookie=bookie,
        username=username,
        currency=currency,
        agent=agent,
        stake_share=parse_percent(stake_share),
        tags=sorted(set(tags)),
    )
    session.add(account)
    session.flush()
    return account


def set_tag_rules(session: Session, customer: Customer, document: Any) -> None:
    """Store the rules that choose a customer's accounts. Raises marshmallow's ValidationError."""
    read_tag_rules(document)
    session.merge(TagRules(customer_id=customer.id, rules=document))


def accounts_of_group(session: Session, group_id: int | None) -> list[BookieAccount]:
    """Return all accounts of a group, enabled or not, by id."""
    query = select(BookieAccount).where(BookieAccount.group_id == group_id)
    return list(session.scalars(query.order_by(BookieAccount.id)))


def accounts_of_customer(session: Session, customer: Customer, *, env_tags: Iterable[str]) -> list[BookieAccount]:
    """Return the enabled accounts of the customer's group that the customer's rules choose."""
    stored = session.get(TagRules, customer.id)
    rules = INCLUDE_ALL if stored is None else read_tag_rules(stored.rules)
    return [
        account
        for account, choice in preview(session, customer, rules, env_tags=env_tags)
        if choice.included and account.enabled
    ]


def preview(
    session: Session, customer: Customer, rules: Sequence[TagRule], *, env_tags: Iterable[str]
) -> list[tuple[BookieAccount, Choice]]:
    """Return for each account of the customer's group whether these rules would choose it."""
    tags = frozenset(env_tags)
    return [(account, choose(rules, account.tags, tags)) for account in accounts_of_group(session, customer.group_id)]


def balance_query(account: BookieAccount) -> tuple[str, BalanceQuery]:
    """Return the adapter for an account and the query for its balance.

    Run the query outside any database transaction: it may take seconds.
    """
    bookie = account.bookmaker
    return bookie.adapter, BalanceQuery(bookie.code, bookie.url, bookie.secret, account.username, account.currency)


def fetch_balance(adapter: str, query: BalanceQuery) -> int:
    """Fetch a balance from the bookmaker, in minor units. Raises BookieUnavailableError, TryAgainError."""
    return ADAPTERS[adapter](query)


def store_balance(session: Session, account_id: int, balance: int, *, queried_at: datetime) -> BookieAccount:
    """Store a balance, unless one of a later query is stored already."""
    query = select(BookieAccount).where(BookieAccount.id == account_id).with_for_update()
    account = session.scalars(query).one()
    if account.balance_at is None or account.balance_at <= queried_at:
        account.balance, account.balance_at = balance, queried_at
    return account
