"""Which fields of a customer a manager may change (docs/protocols/customers.md, "Who may see and change whom").

A manager may change everything of the customers of its groups, except of those that manage a group themselves: of
these only what takes rights away. Otherwise a manager could take over the groups of another one with a new password. It
is no protection against managers who act together, because managers can appoint and remove managers.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks.customers.callers import managed_groups
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.service import own_amount
from wallet_hooks.errors import ForbiddenError


def check_permitted(session: Session, customer: Customer, given: Mapping[str, Any]) -> None:
    """Check a change by a manager of the customer's group; `given` is what `change_customer` takes.

    Raises ForbiddenError for a customer that manages groups, unless each given field takes rights away from it, and
    RefusedError for an amount in another currency.
    """
    if not managed_groups(session, customer.id):
        return
    refused = [name for name, value in given.items() if not _takes_rights_away(customer, name, value)]
    if refused:
        accepted = "lock, inactive, and a lower credit_limit or max_stake_per_event or an earlier expires_at"
        raise ForbiddenError(f"{', '.join(refused)}: the customer manages groups; only {accepted} are accepted")


def _takes_rights_away(customer: Customer, name: str, value: Any) -> bool:
    """Return whether a new value gives the customer no right that it does not have now."""
    if name == "credit_limit":
        return own_amount(value, customer.currency) <= customer.credit_limit
    if name == "max_stake_per_event":
        stake = None if value is None else own_amount(value, customer.currency)
        return _is_tighter(stake, customer.max_stake_per_event)
    if name == "expires_at":
        return _is_tighter(value, customer.expires_at)
    if name == "locked":
        return value is True
    if name == "active":
        return value is False
    return name == "credit_limit_comment"


def _is_tighter(value: Any, present: Any) -> bool:
    """Return whether a bound is as tight as the present one or tighter; None is no bound."""
    return present is None or (value is not None and value <= present)
