"""The bookmaker account calls of `/v1` (docs/protocols/customers.md). View docstrings are the OpenAPI summaries."""

from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks.bookies import schemas, service
from wallet_hooks.bookies.models import BookieAccount
from wallet_hooks.customers.callers import known_customer, managed_customer, managed_group, manages
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.routes import GROUP
from wallet_hooks.customers.schemas import pair
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import ForbiddenError, NotFoundError
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.v1 import ApiCall, V1Route
from wallet_hooks.web.api import ApiContext


def list_bookie_accounts(context: ApiContext, call: ApiCall, username: str) -> list[dict[str, Any]]:
    """List the bookmaker accounts that a customer may use."""
    with reading(context.engine) as session:
        customer = known_customer(session, call.customer, username)
        is_viewed = _may_view_accounts(session, call.customer, customer.group_id)
        accounts = service.accounts_of_customer(session, customer, env_tags=context.settings.env_tags)
        return [schemas.account_data(account, is_viewed=is_viewed) for account in accounts]


def preview_bookie_accounts(context: ApiContext, call: ApiCall, username: str) -> list[dict[str, Any]]:
    """Show for each account whether tag rules would choose it, and which rule decided. Changes nothing."""
    rules = call.given["tag_rules"]
    env_tags = call.given.get("env_tags", context.settings.env_tags)
    with reading(context.engine) as session:
        customer = managed_customer(session, call.customer, username)
        return [
            schemas.account_data(account, is_viewed=True) | choice._asdict()
            for account, choice in service.preview(session, customer, rules, env_tags=env_tags)
        ]


def kick_balance(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Fetch a bookmaker account's balance from the bookmaker, and store it. The username in the path is ignored."""
    del username  # docs/protocols/customers.md names the account in the body
    with reading(context.engine) as session:
        account = _usable_account(context, session, call.customer, call.given["account_id"])
        adapter, query = service.balance_query(account)
    balance = service.fetch_balance(adapter, query)
    with writing(context.engine) as session:
        service.store_balance(session, account.id, balance, queried_at=call.now)
    return {"balance": pair(balance, query.currency), "timestamp": call.now.isoformat()}


def list_group_accounts(context: ApiContext, call: ApiCall, group_id: int) -> list[dict[str, Any]]:
    """List all bookmaker accounts of a group that the caller manages."""
    with reading(context.engine) as session:
        group = managed_group(session, call.customer, group_id)
        return [schemas.account_data(a, is_viewed=True) for a in service.accounts_of_group(session, group.id)]


_ACCOUNTS = "/v1/customers/<username>/bookie_accounts"
ROUTES = (
    V1Route("GET", f"{_ACCOUNTS}/", list_bookie_accounts),
    V1Route("POST", f"{_ACCOUNTS}_preview/", preview_bookie_accounts, schemas.PreviewSchema),
    V1Route("POST", f"{_ACCOUNTS}/kick_balance/", kick_balance, schemas.KickBalanceSchema),
    V1Route("GET", f"{GROUP}bookie_accounts/", list_group_accounts),
)


def _usable_account(context: ApiContext, session: Session, caller: Caller, account_id: int) -> BookieAccount:
    """Return an account of a group that the caller manages, or one that it may use and view.

    Raises NotFoundError, or ForbiddenError if the caller may use the account but not view it.
    """
    account = session.get(BookieAccount, account_id)
    if account is not None and manages(session, caller, account.group_id):
        return account
    customer = session.get_one(Customer, caller.id)
    usable = service.accounts_of_customer(session, customer, env_tags=context.settings.env_tags)
    if account not in usable:
        raise NotFoundError(f"no bookmaker account {account_id}")
    if "account_viewer" not in caller.roles:
        raise ForbiddenError("role account_viewer required")
    return account


def _may_view_accounts(session: Session, caller: Caller, group_id: int | None) -> bool:
    return "account_viewer" in caller.roles or manages(session, caller, group_id)
