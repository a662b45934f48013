"""The operation getAccountStatement, and what an item says of its bet or payment."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.accounts_api import statement
from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.field_types import instant_data
from wallet_hooks.accounts_api.statement import ItemRow, Selection
from wallet_hooks.customers.models import Customer, NamedPayment
from wallet_hooks.database import reading
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import BETTING_KINDS, account_id
from wallet_hooks.sportsbook.messages import BetKey, BetStep
from wallet_hooks.sportsbook.models import Wager

_PAGE = 100
_CENT = Decimal("0.01")


class ItemStep(NamedTuple):
    """The step of a bet that an item is of: a settlement other than the first is a correction, as is a reversal.

    `is_commission`: the item is the commission that the step charged or gave back.
    """

    bet: BetKey
    kind: str
    is_correction: bool
    is_commission: bool


def get_account_statement(call: OperationCall) -> dict[str, Any]:
    """Return a page of a wallet's entries, oldest first, with the balance after each."""
    given = call.given
    position, count = given.get("from_record", 0), given.get("record_count", 0)
    if position < 0 or count < 0:
        raise AccountsError("INVALID_INPUT_DATA", "fromRecord, recordCount: 0 or more is required")
    _check_date_range(given)
    size = min(count or _PAGE, _PAGE)
    with reading(call.engine) as session:
        customer = session.get_one(Customer, call.customer.id)
        wallet = chart.player(customer.id, customer.currency, given.get("wallet", chart.BETTING_WALLET))
        account = account_id(session, wallet)
        if account is None:
            return {"accountStatement": [], "moreAvailable": False}
        versions = _versions(session, account, customer, given, position, size + 1)
        rows = statement.items_of(session, account, versions[:size])
        items = _items(session, account, rows, customer.currency)
    return {"accountStatement": items, "moreAvailable": len(versions) > size}


def _date_range(given: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    date_range = given.get("date_range", {})
    return date_range.get("since"), date_range.get("until")


def _check_date_range(given: Mapping[str, Any]) -> None:
    since, until = _date_range(given)
    if given.get("include", "ALL") == "ALL" and since is not None and until is not None and since > until:
        raise AccountsError("INVALID_INPUT_DATA", "itemDateRange: from is after to")


def _versions(
    session: Session, account: int, customer: Customer, given: Mapping[str, Any], position: int, size: int
) -> list[int]:
    """Return the versions of the items on a page. The date range binds only where all items are included."""
    include = given.get("include", "ALL")
    if include == "POKER_ROOM":
        return []
    if include == "ALL":
        selection = statement.in_date_range(session, account, *_date_range(given))
        return list(islice(selection.from_position(position), size))
    payments = statement.payment_versions(session, account, customer)
    if include == "DEPOSITS_WITHDRAWALS":
        return payments[position : position + size]
    selection = Selection(1, statement.last_version(session, account), payments)
    return list(islice(selection.from_position(position), size))


def _items(session: Session, account: int, rows: Iterable[ItemRow], currency: str) -> list[dict[str, Any]]:
    items = [(row, _step_of(row) if row.kind in BETTING_KINDS else None) for row in rows]
    wagers = _wagers(session, {step.bet for _, step in items if step is not None})
    charged = {row.transaction_id for row, step in items if step is not None and step.is_commission}
    totals = statement.totals_of(session, account, charged)
    shown = []
    for row, step in items:
        wager = wagers.get(step.bet) if step is not None else None
        legacy = _legacy_data(row, step, wager, _gross_amount(row, step, wager, totals), currency)
        shown.append(_item(row, legacy, step, currency))
    return shown


def _step_of(row: ItemRow) -> ItemStep | None:
    """Return the step of a bet that an item is of; None for a payment's."""
    step = BetStep.of_reference(row.reference)
    if step is None:
        return None
    is_reversal = step.kind == "reversal"
    # A settlement credits the payout and debits the commission; its reversal does the opposite.
    is_commission = (step.kind == "settlement" and row.amount > 0) or (is_reversal and row.amount < 0)
    return ItemStep(step.bet, step.kind, is_reversal or (step.number or 1) > 1, is_commission)


def _gross_amount(row: ItemRow, step: ItemStep | None, wager: Wager | None, totals: Mapping[int, int]) -> int:
    """Return an item's own amount, or for commission the net winnings on which it was charged, in minor units.

    `totals` are the sums of payout and commission by transaction.
    """
    if step is None:
        return 0
    if not step.is_commission:
        return abs(row.amount)
    cost = (wager.cost if wager is not None else None) or 0
    return abs(totals[row.transaction_id] - row.amount) - cost


def _wagers(session: Session, keys: set[BetKey]) -> dict[BetKey, Wager]:
    query = select(Wager).where(tuple_(Wager.game, Wager.client, Wager.uid).in_(keys))
    return {BetKey(wager.game, wager.client, wager.uid): wager for wager in session.scalars(query)} if keys else {}


def _item(row: ItemRow, legacy: dict[str, Any], step: ItemStep | None, currency: str) -> dict[str, Any]:
    values = ",".join(f"{name}={value}" for name, value in legacy.items())
    return {
        "refId": step.bet.uid if step is not None else _payment_reference(row.reference),
        "itemDate": instant_data(row.recorded_at),
        "amount": money.as_decimal(-row.amount, currency),
        "balance": money.as_decimal(-row.balance_after, currency),
        "itemClass": "UNKNOWN",
        "itemClassData": {"unknownStatementItem": values},
        "legacyData": legacy,
    }


def _payment_reference(reference: str) -> str:
    """Return the cashier's own reference from the ledger's."""
    payment = NamedPayment.of_reference(reference)
    return reference if payment is None else payment.reference


def _legacy_data(row: ItemRow, step: ItemStep | None, wager: Wager | None, gross: int, currency: str) -> dict[str, Any]:
    """Return the 18 fields, in the source's order; what is not known here is 0, the first date, or empty."""
    size, price = Decimal(0), Decimal(0)
    if wager is not None and wager.cost is not None:
        if step is None or not step.is_commission:
            size = money.as_decimal(wager.cost, currency)
        if wager.possible_payout and wager.stake:
            price = (Decimal(wager.possible_payout) / wager.stake).quantize(_CENT)
    coupon = (wager.pool_uid if wager is not None else None) or ""
    title = coupon if step is not None else row.kind.capitalize()
    return {
        "avgPrice": price,
        "betSize": size,
        "betType": "B" if step is not None else "",
        "betCategoryType": "E" if step is not None else "NONE",
        "commissionRate": (wager.commission_rate if wager is not None else None) or "",
        "eventId": 0,
        "eventTypeId": 0,
        "fullMarketName": title,
        "grossBetAmount": money.as_decimal(gross, currency) if step is not None else Decimal(0),
        "marketName": title,
        "marketType": "O" if step is not None else "NOT_APPLICABLE",
        "placedDate": instant_data(wager.placed_at if wager is not None else row.recorded_at),
        "selectionId": 0,
        "selectionName": step.bet.game if step is not None else "",
        "startDate": "0001-01-01T00:00:00.000Z",
        "transactionType": "ACCOUNT_CREDIT" if row.amount < 0 else "ACCOUNT_DEBIT",
        "transactionId": row.transaction_id,
        "winLose": _win_lose(row, step, wager),
    }


def _win_lose(row: ItemRow, step: ItemStep | None, wager: Wager | None) -> str:
    """Return the result that an item is for, by the item's own amount: a later correction does not change it."""
    if step is not None and step.is_commission:
        return "RESULT_NOT_APPLICABLE"
    if step is not None and step.is_correction:
        return "RESULT_FIX"
    is_return = step is not None and step.kind == "settlement" and row.amount < 0
    if not is_return or wager is None or -row.amount == wager.cost:
        return "RESULT_NOT_APPLICABLE"
    return "RESULT_WON" if -row.amount > (wager.cost or 0) else "RESULT_LOST"
