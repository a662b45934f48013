"""Compares the ledger with the manifest of an export that was kept elsewhere, as after a restore from a backup."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from operator import lt, ne
from pathlib import Path
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.general_ledger import LEDGERS
from wallet_hooks.ledger.models import Entry, Seal, Transaction
from wallet_hooks.ledger.queries import newest_transaction_id
from wallet_hooks.ledger.verify import Difference

_NO_MAXIMUM = 10**40  # minor units: sums of amounts have no bound of their own
_RULE = "nothing is missing that an export had"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest that `export` wrote. Raises RefusedError (`invalid_manifest`) if the file is not a manifest."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        _ManifestSchema().load(manifest)
    except (ValueError, ValidationError, RecursionError):
        raise RefusedError("invalid_manifest", f"{path.name} is not the manifest of an export") from None
    return dict(manifest)


class _ManifestPart(Schema):
    """A part of a manifest: what is read of it."""

    class Meta:
        unknown = INCLUDE


class _PeriodSchema(_ManifestPart):
    first = fields.Date(data_key="from", required=True)
    last = fields.Date(data_key="to", required=True)


class _FiltersSchema(_ManifestPart):
    brand = fields.String()
    currency = fields.String()


class _SealSchema(_ManifestPart):
    day = fields.Date(required=True)
    hash = fields.String(required=True)


class _PositionSchema(_ManifestPart):
    last_transaction = fields.Integer(required=True, strict=True, allow_none=True)
    period_is_closed = fields.Boolean(required=True)
    newest_seal = fields.Nested(_SealSchema, allow_none=True)


class _ManifestSchema(_ManifestPart):
    report = fields.String(required=True)
    format = fields.String(required=True)
    period = fields.Nested(_PeriodSchema, required=True)
    filters = fields.Nested(_FiltersSchema, allow_none=True)
    rows = fields.Integer(required=True, strict=True)
    totals = fields.Dict(fields.String(), fields.Dict(fields.String(), fields.String()), required=True)
    ledger = fields.Nested(_PositionSchema, required=True)
    parts = fields.Integer(strict=True)


def check_against(session: Session, manifest: Mapping[str, Any]) -> list[Difference]:
    """Return what the ledger lacks of what it had when the manifest was written.

    The ledger may have grown since. A journal is counted and summed again, as far as it went then.
    """
    checks = (_missing_transaction, _missing_seal, _other_journal)
    return [difference for check in checks for difference in check(session, manifest)]


def _missing_transaction(session: Session, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    last = manifest["ledger"]["last_transaction"]
    if last is not None and session.get(Transaction, last) is None:
        newest = newest_transaction_id(session)
        yield Difference(_RULE, f"transaction {last}", f"missing; the newest one is {newest}")


def _missing_seal(session: Session, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """A day that was reopened since keeps its old seal on record."""
    sealed = manifest["ledger"].get("newest_seal")
    if sealed is None:
        return
    day = date.fromisoformat(sealed["day"])
    hashes = list(session.scalars(select(Seal.hash).where(Seal.day == day)))
    if sealed["hash"] not in hashes:
        found = f"sealed with {', '.join(hashes)}" if hashes else "not sealed"
        yield Difference(_RULE, f"day {day}", f"{found}, and was sealed with {sealed['hash']}")


def _other_journal(session: Session, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """Count and sum a journal again, as far as its ids went: a general ledger's rows are not entries, its debits are.

    In a period that was open then, transactions with lower ids may have been committed since. An empty ledger had
    nothing that could be missing. One of several files of a general ledger is not checked.
    """
    newest = manifest["ledger"]["last_transaction"]
    if newest is None or manifest["report"] != "journal" or manifest.get("parts", 1) > 1:
        return
    currency_filter = (manifest.get("filters") or {}).get("currency")
    first, last = (date.fromisoformat(manifest["period"][name]) for name in ("from", "to"))
    query = (
        select(Entry.currency, func.count(), func.sum(case((Entry.amount > 0, Entry.amount), else_=0)))
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on.between(first, last), Transaction.id <= newest)
        .where(*([] if currency_filter is None else [Entry.currency == currency_filter]))
        .group_by(Entry.currency)
    )
    found = {currency: (count, int(debit)) for currency, count, debit in session.execute(query)}
    differs = ne if manifest["ledger"]["period_is_closed"] else lt
    rows = sum(count for count, _ in found.values())
    if manifest["format"] not in LEDGERS and differs(rows, manifest["rows"]):
        yield Difference(_RULE, f"journal of {first} to {last}", f"{rows} entries instead of {manifest['rows']}")
    for currency, totals in manifest["totals"].items():
        debit = found.get(currency, (0, 0))[1]
        had = money.parse_number(totals.get("debit", "0"), currency, maximum=_NO_MAXIMUM)
        if differs(debit, had):
            where = f"journal of {first} to {last}, {currency}"
            yield Difference(_RULE, where, f"debits of {debit} instead of {had} minor units")
