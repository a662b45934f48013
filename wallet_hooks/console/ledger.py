"""Pages of the ledger: accounts, trial balance, entries, transactions, closed days and their seals."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.console.causes import causes_of
from wallet_hooks.console.paging import READ, Listed, newest_items, take_page
from wallet_hooks.console.rendering import Html, redirect
from wallet_hooks.console.texts import number, row_of
from wallet_hooks.console.visits import Visit
from wallet_hooks.customers.models import Customer, NamedPayment, Payment
from wallet_hooks.database import reading
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.finance import closing, exports
from wallet_hooks.finance.report_request import ReportRequest, check_period, read_day
from wallet_hooks.finance.reports import report_named
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger.models import Account, Entry, Seal, Transaction
from wallet_hooks.ledger.queries import entries_of, transactions_with
from wallet_hooks.ledger.sealing import newest_seal
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.web.api import Reply


def show(visit: Visit) -> Html:
    """Show the house accounts, and the closed days with their seals, newest first."""
    query = select(Seal).order_by(Seal.id.desc()).limit(READ)
    if after := visit.query("after"):
        query = query.where(Seal.id < number(after, "page"))
    with reading(visit.engine) as session:
        house = select(Account).where(Account.holder_id.is_(None)).order_by(Account.name, Account.currency)
        newest = newest_seal(session)
        values = {
            "accounts": list(session.scalars(house)),
            "seals": take_page(session.scalars(query), lambda seal: seal.id),
            "newest": newest,
            "yesterday": exports.newest_day(visit.engine, visit.request.now) - timedelta(days=1),
        }
    return Html("ledger.html", values)


def trial_balance(visit: Visit) -> Html:
    """Show opening balance, debits, credits and closing balance of each account; customers summed by wallet."""
    first, last = _read_period(visit)
    report = report_named("trial-balance")
    with reading(visit.reports) as session:
        request = ReportRequest(first, last, None, visit.request.now)
        rows = [row for batch in report.batches(session, request) for row in batch.to_pylist()]
        house = select(Account).where(Account.holder_id.is_(None))
        ids = {(one.name, one.currency): one.id for one in session.scalars(house)}
    amounts = ("opening", "debit", "credit", "closing")
    shown = [row | {name: money.format_amount(int(row[name]), row["currency"]) for name in amounts} for row in rows]
    return Html(
        "trial_balance.html", {"rows": shown, "ids": ids, "totals": _totals(rows), "first": first, "last": last}
    )


def account(visit: Visit, id_: str) -> Html:
    """Show an account's entries, newest first."""
    with reading(visit.engine) as session:
        found = row_of(session, Account, id_, "account")
        holder = None
        if found.holder_id is not None:
            owner = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id)
            holder = session.execute(owner.where(Customer.id == found.holder_id)).one_or_none()
        entries = _entries(session, found, visit.query("after"))
    return Html("account.html", {"account": found, "holder": holder, "found": entries})


def transaction(visit: Visit, id_: str) -> Html:
    """Show a transaction: its entries, what it reverses, and the callback that posted it."""
    with reading(visit.engine) as session:
        found = row_of(session, Transaction, id_, "transaction")
        (posted,) = transactions_with(session, references=[found.reference])
        names = [entry["account"] for entry in posted["entries"]]
        accounts = session.execute(select(Account.name, Account.currency, Account.id).where(Account.name.in_(names)))
        values = {
            "transaction": found,
            "entries": posted["entries"],
            "account_ids": {(name, currency): account_id for name, currency, account_id in accounts},
            "bet": BetKey.of_reference(found.reference),
            "delivery": _cause(session, found),
            "payment": _payment(session, found),
        }
    return Html("transaction.html", values)


def close(visit: Visit) -> Reply:
    """Close the books through a day."""
    day = read_day("day", visit.required("day", most=10))
    closing.close(
        visit.engine, day, now=visit.request.now, record=lambda session: visit.record(session, "close", day.isoformat())
    )
    return redirect("/console/ledger", done="closed")


def reopen(visit: Visit) -> Reply:
    """Open a closed day, and every closed day after it."""
    day, reason = read_day("day", visit.required("day", most=10)), visit.reason()
    newest = read_day("newest", visit.form["newest"]) if visit.form.get("newest") else None

    def record(session: Session) -> None:
        visit.record(session, "reopen", day.isoformat(), reason=reason, through=visit.form.get("newest"))

    closing.reopen(
        visit.engine, day, reason=reason, by=visit.member.username, now=visit.request.now, newest=newest, record=record
    )
    return redirect("/console/ledger", done="reopened")


def _read_period(visit: Visit) -> tuple[date, date]:
    """Return the days of the parameters `from` and `to`; by default the newest day. Raises RefusedError."""
    newest = exports.newest_day(visit.reports, visit.request.now)
    first, last = (read_day(name, visit.query(name)) if visit.query(name) else newest for name in ("from", "to"))
    check_period(first, last)
    return first, last


def _totals(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return debits and credits by currency, which are equal if the ledger is sound."""
    sums: dict[str, list[int]] = {}
    for row in rows:
        of_currency = sums.setdefault(row["currency"], [0, 0])
        of_currency[0] += int(row["debit"])
        of_currency[1] += int(row["credit"])
    return [
        (currency, money.format_amount(debit, currency), money.format_amount(credit, currency))
        for currency, (debit, credit) in sorted(sums.items())
    ]


def _entries(session: Session, found: Account, after: str) -> Listed[Any]:
    """Return a page of entries: a customer's by version, those of a house account by transaction."""
    if found.holder_id is not None:
        return newest_items(session, found.id, before=number(after, "page") if after else None)
    query = entries_of(found.id, Entry, Transaction).where(Entry.version.is_(None)).limit(READ)
    query = query.order_by(Entry.transaction_id.desc(), Entry.line.desc())
    if after:
        transaction_id, _, line = after.partition("-")
        key = (number(transaction_id, "page"), number(line, "page"))
        query = query.where(tuple_(Entry.transaction_id, Entry.line) < key)
    return take_page(session.execute(query), lambda row: f"{row.Entry.transaction_id}-{row.Entry.line}")


def _payment(session: Session, found: Transaction) -> Payment | None:
    """Return the payment that posted a transaction; None for any other."""
    named = NamedPayment.of_reference(found.reference)
    if named is None:
        return None
    same = (Brand.client == named.client, Payment.kind == named.kind, Payment.reference == named.reference)
    return session.scalar(select(Payment).join(Brand, Brand.id == Payment.brand_id).where(*same))


def _cause(session: Session, found: Transaction) -> Delivery | None:
    """Return the callback that posted a transaction; None for one that staff or a payment posted."""
    cause = causes_of(session, [found]).get(found.id)
    return None if cause is None else session.get(Delivery, cause)
