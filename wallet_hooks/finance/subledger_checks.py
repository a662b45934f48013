"""Checks of what is stored beside the ledger against it: payments, open bets, and what the accounts' names say."""

from sqlalchemy import func, literal, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Payment, payment_reference
from wallet_hooks.database import stream_rows
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.ledger.verify import MAX_DIFFERENCES, Difference, Since
from wallet_hooks.sportsbook.models import Wager

_PAYMENT_RULE = "a payment that is done has its amount in the ledger"
_STAKES_RULE = "open stakes equal the stakes of open bets"
_ACCOUNT_RULE = "an account is of the kind and the customer that its name says"


def check_payments(session: Session, posted: Since | None) -> list[Difference]:
    """Return payments without a transaction that moves their amount on an account of their customer."""
    if posted is not None:
        return []
    reference = payment_reference(Brand.client, Payment.kind, Payment.reference)
    moved = (
        select(literal(1))
        .select_from(Transaction)
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Transaction.reference == reference, Account.holder_id == Payment.customer_id)
        .where(func.abs(Entry.amount) == func.abs(Payment.amount), Entry.currency == Payment.currency)
        .correlate(Payment, Brand)
    )
    query = (
        select(Payment.id, reference)
        .join(Brand, Brand.id == Payment.brand_id)
        .where(Payment.status == "done", ~moved.exists())
    )
    return [
        Difference(_PAYMENT_RULE, f"payment {id_}", f"no transaction {found} of its amount")
        for id_, found in session.execute(query.order_by(Payment.id).limit(MAX_DIFFERENCES))
    ]


def check_open_stakes(session: Session, posted: Since | None) -> list[Difference]:
    """Compare each customer's account of open stakes with its open bets, by currency."""
    if posted is not None:
        return []
    sums: dict[tuple[int, str], int] = {}
    staked = (
        select(Wager.customer_id, Wager.currency, func.sum(Wager.stake))
        .where(Wager.status == "open", Wager.stake != 0)
        .group_by(Wager.customer_id, Wager.currency)
    )
    held = select(Account.holder_id, Account.currency, Account.balance).where(
        chart.has_wallet(Account.name, chart.OPEN_STAKES), Account.balance != 0
    )
    for query in (staked, held):
        for customer_id, currency, amount in stream_rows(session, query):
            key = (customer_id, currency)
            sums[key] = sums.get(key, 0) + int(amount)
            if not sums[key]:
                del sums[key]
    return [
        Difference(_STAKES_RULE, f"customer {customer_id} {currency}", f"differ by {amount}")
        for (customer_id, currency), amount in sorted(sums.items())[:MAX_DIFFERENCES]
    ]


def check_accounts(session: Session, posted: Since | None) -> list[Difference]:
    """Return accounts whose kind or holder is not that of their names."""
    if posted is not None:
        return []
    is_of_holder = or_(*(Account.name == chart.player_name(Account.holder_id, one) for one in chart.HELD_ACCOUNTS))
    query = select(Account.name, Account.currency, Account.kind, Account.holder_id).where(
        or_(
            Account.kind != chart.kind_of(Account.name),
            chart.is_player_account(Account.name) != Account.holder_id.is_not(None),
            Account.holder_id.is_not(None) & ~is_of_holder,
        )
    )
    return [
        Difference(_ACCOUNT_RULE, f"account {name} {currency}", f"kind {kind}, customer {holder_id}")
        for name, currency, kind, holder_id in session.execute(query.order_by(Account.id).limit(MAX_DIFFERENCES))
    ]
