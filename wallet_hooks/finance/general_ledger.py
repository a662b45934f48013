"""The journal summed by day for general ledgers: Xero, QuickBooks and DATEV, each with its own rules for a file.

A day of one currency is one journal entry, which balances: what went into an account is a line, what came out another.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.asked import Asked
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.settings import Settings

XERO_LINES = 300
_MOST_LINES = {"xero": XERO_LINES, "datev": 99_999}  # in one file
_DATEV_DECIMALS = 2
_DATEV_DIGITS = 10  # before the comma
_DATEV_CURRENCY = 3  # letters


class LedgerAccount(NamedTuple):
    """An account of the general ledger: its code (Xero, DATEV) and its name (QuickBooks, `Parent:Child`)."""

    code: str
    name: str


class Datev(NamedTuple):
    """What DATEV wants to know: whose books these are, and the account that every line is booked against."""

    consultant: int = 1001
    client: int = 1
    account_length: int = 4
    clearing: str = "1590"
    fiscal_year_begins: str = "0101"


class AccountCodes(NamedTuple):
    """Our accounts by the longest part of their names (up to a colon) that is listed, players by wallet."""

    accounts: Mapping[str, LedgerAccount]
    tax_rate: str = "Tax Exempt"
    datev: Datev = Datev()

    def account_of(self, name: str) -> LedgerAccount:
        """Raises RefusedError where no part of the name is listed."""
        part = name
        while part:
            if part in self.accounts:
                return self.accounts[part]
            part = part.rpartition(":")[0]
        raise RefusedError("unmapped_account", f"the mapping file has no account for {name!r}")


DEFAULT_CODES = AccountCodes(
    {
        "psp": LedgerAccount("1100", "Payment providers"),
        "players:UK": LedgerAccount("2100", "Player funds:Balances"),
        "players:open_stakes": LedgerAccount("2110", "Player funds:Open stakes"),
        "equity:conversion": LedgerAccount("3900", "Currency conversion"),
        "income:stakes": LedgerAccount("4000", "Betting income:Stakes"),
        "income:commission": LedgerAccount("4010", "Betting income:Commission"),
        "expenses:winnings": LedgerAccount("5000", "Betting costs:Winnings"),
        "expenses:adjustments": LedgerAccount("5010", "Betting costs:Adjustments"),
    }
)


class _AccountShape(Schema):
    code = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,19}\Z"))
    name = fields.String(required=True, validate=validate.Regexp(r"[^\x00-\x1f=+@;\"-][^\x00-\x1f;\"]{0,99}\Z"))


class _DatevShape(Schema):
    consultant = fields.Integer(strict=True, validate=validate.Range(1001, 9_999_999))
    client = fields.Integer(strict=True, validate=validate.Range(1, 99_999))
    account_length = fields.Integer(strict=True, validate=validate.Range(4, 8))
    clearing = fields.String(validate=validate.Regexp(r"\d{4,8}\Z"))
    fiscal_year_begins = fields.String(validate=validate.Regexp(r"(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])\Z"))


class _CodesShape(Schema):
    accounts = fields.Dict(keys=fields.String(), values=fields.Nested(_AccountShape), load_default=dict)
    tax_rate = fields.String(validate=validate.Regexp(r"[^\x00-\x1f=+@;\"-][^\x00-\x1f;\"]{0,49}\Z"))
    datev = fields.Nested(_DatevShape, load_default=dict)


def read_codes(path: Path) -> AccountCodes:
    """A mapping file; what it does not list is as the default has it. Raises RefusedError for one that is none."""
    try:
        read = _CodesShape().load(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusedError("bad_mapping", f"{path.name}: {error}") from None
    except ValidationError as error:
        raise RefusedError("bad_mapping", f"{path.name}: {json.dumps(error.messages)}") from None
    accounts = {name: LedgerAccount(**account) for name, account in read["accounts"].items()}
    return AccountCodes(
        {**DEFAULT_CODES.accounts, **accounts},
        read.get("tax_rate", DEFAULT_CODES.tax_rate),
        DEFAULT_CODES.datev._replace(**read["datev"]),
    )


def configured_codes(settings: Settings) -> AccountCodes:
    """The mapping file of the settings, or the default."""
    return DEFAULT_CODES if settings.account_codes_file is None else read_codes(Path(settings.account_codes_file))


class DailyLine(NamedTuple):
    """What went into an account on a day (positive), or came out of it: minor units of the currency."""

    day: date
    currency: str
    account: LedgerAccount
    amount: int


COLUMNS = {"day": "day", "currency": "text", "code": "text", "account": "text", "debit": "amount", "credit": "amount"}


def daily_lines(session: Session, asked: Asked, codes: AccountCodes) -> Iterator[DailyLine]:
    """Debits and credits of each day, currency and account of the general ledger, in this order."""
    name = case(
        *(
            (chart.is_wallet(Account.name, wallet), f"{chart.PLAYERS}{wallet}")
            for wallet in (chart.BETTING_WALLET, chart.OPEN_STAKES)
        ),
        else_=Account.name,
    ).label("account")
    is_debit = (Entry.amount > 0).label("is_debit")
    query = (
        select(Transaction.booked_on, Entry.currency, name, is_debit, func.sum(Entry.amount))
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Transaction.booked_on.between(asked.first, asked.last))
        .group_by(Transaction.booked_on, Entry.currency, name, is_debit)
    )
    if asked.currency is not None:
        query = query.where(Entry.currency == asked.currency)
    sums: dict[tuple[date, str, LedgerAccount, bool], int] = {}
    for day, currency, account, debit, amount in session.execute(query):
        key = (day, currency, codes.account_of(account), not debit)
        sums[key] = sums.get(key, 0) + int(amount)
    for (day, currency, code, _), amount in sorted(sums.items()):
        yield DailyLine(day, currency, code, amount)


def as_rows(lines: Iterable[DailyLine]) -> Iterator[tuple[date, str, str, str, int | None, int | None]]:
    """The lines with the columns COLUMNS, for their totals."""
    for day, currency, account, amount in lines:
        debit, credit = (amount, None) if amount > 0 else (None, -amount)
        yield day, currency, account.code, account.name, debit, credit


def files_of(format_: str, lines: Iterable[DailyLine]) -> list[list[DailyLine]]:
    """The lines by the files that they need, as many as the format takes in one, and no day of a currency in two.

    Raises RefusedError where one journal is too long for a file.
    """
    if format_ == "datev":
        lines = _split_for_datev(lines)
    if format_ not in _MOST_LINES:
        return [list(lines)]
    most = _MOST_LINES[format_]
    files: list[list[DailyLine]] = [[]]
    for (day, currency), of_day in groupby(lines, key=_journal_of):
        journal = list(of_day)
        if len(journal) > most:
            what = f"{day.isoformat()} {currency} has {len(journal)} lines"
            raise RefusedError("too_many_lines", f"{what}: {format_} takes {most} a file")
        if len(files[-1]) + len(journal) > most:
            files.append([])
        files[-1] += journal
    return files


def _split_for_datev(lines: Iterable[DailyLine]) -> Iterator[DailyLine]:
    """An amount of more digits than DATEV's field has is booked in several lines."""
    for line in lines:
        scale = money.decimals(line.currency)
        # The largest amount of the field, in minor units; where these are finer than its decimals, of whole ones.
        most = (10 ** (_DATEV_DIGITS + min(scale, _DATEV_DECIMALS)) - 1) * 10 ** max(scale - _DATEV_DECIMALS, 0)
        rest, sign = abs(line.amount), 1 if line.amount > 0 else -1
        while rest > most:
            yield line._replace(amount=sign * most)
            rest -= most
        yield line._replace(amount=sign * rest)


def _xero(lines: list[DailyLine], _asked: Asked, codes: AccountCodes) -> bytes:
    """Manual journals: signed amounts, account codes, dates as dd/mm/yyyy."""
    rows = [_XERO_HEAD]
    for day, currency, (code, name), amount in lines:
        told = money.format_amount(amount, currency)
        narration = f"Betting {day.isoformat()} {currency}"
        rows.append([narration, f"{day:%d/%m/%Y}", name, code, codes.tax_rate, told, "", "", "", ""])
    return _csv(rows)


def _quickbooks(lines: list[DailyLine], _asked: Asked, _codes: AccountCodes) -> bytes:
    """Journal entries by number, with debits and credits, and accounts by name."""
    rows = [_QUICKBOOKS_HEAD]
    for day, currency, account, amount in lines:
        told = money.format_amount(abs(amount), currency)
        debit, credit = (told, "") if amount > 0 else ("", told)
        number = f"WH-{day:%Y%m%d}-{currency}"
        rows.append([number, f"{day:%m/%d/%Y}", currency, account.name, debit, credit, f"Betting {day.isoformat()}"])
    return _csv(rows)


def _datev(lines: list[DailyLine], asked: Asked, codes: AccountCodes) -> bytes:
    """EXTF, category 21 (Buchungsstapel): Windows-1252, decimal comma, each line against the clearing account.

    A document's date has no year: a file is of one fiscal year.
    """
    datev = codes.datev
    begins = _fiscal_year(asked.first, datev)
    if begins != _fiscal_year(asked.last, datev):
        raise RefusedError("bad_period", f"a DATEV file is of one fiscal year; the one of {asked.first} began {begins}")
    head = (
        f'"EXTF";700;21;"Buchungsstapel";13;{asked.last:%Y%m%d}000000000;;"";"";"";{datev.consultant};{datev.client};'
        f'{begins:%Y%m%d};{datev.account_length};{asked.first:%Y%m%d};{asked.last:%Y%m%d};"Betting";"";1;0;0;"EUR";'
        ';"";;;"";;;"";""'
    )
    _check_datev_account(datev.clearing, datev)
    rows = [head, ";".join(f'"{name}"' for name in _DATEV_HEAD)]
    rows += [_datev_line(line, datev) for line in lines]
    return "".join(f"{row}\r\n" for row in rows).encode("cp1252", errors="replace")


def _datev_line(line: DailyLine, datev: Datev) -> str:
    day, currency, account, amount = line
    _check_datev_account(account.code, datev)
    if len(currency) != _DATEV_CURRENCY:
        what = f"DATEV has currencies of {_DATEV_CURRENCY} letters, not {currency!r}"
        raise RefusedError("bad_currency", f"{what}: export the others one by one, each by its currency")
    told = f"{money.as_decimal(abs(amount), currency):.{_DATEV_DECIMALS}f}"
    if money.parse_number(told, currency) != abs(amount):
        raise RefusedError(
            "too_precise", f"DATEV knows two decimals: {money.format_amount(amount, currency)} {currency}"
        )
    side = "S" if amount > 0 else "H"
    number = f"{day:%Y%m%d}{currency}"
    return (
        f'{told.replace(".", ",")};"{side}";"{currency}";;;"";{account.code};{datev.clearing};"";{day:%d%m};'
        f'"{number}";"";;"{account.name[:60]}"'
    )


def _check_datev_account(code: str, datev: Datev) -> None:
    if not re.fullmatch(rf"\d{{{datev.account_length}}}\d?", code, re.ASCII):  # persons' accounts have one more
        raise RefusedError("bad_mapping", f"DATEV has accounts of {datev.account_length} digits, not {code!r}")


def _fiscal_year(day: date, datev: Datev) -> date:
    begins = datev.fiscal_year_begins
    year = day.year if f"{day:%m%d}" >= begins else day.year - 1
    return date(year, int(begins[:2]), int(begins[2:]))


def _csv(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _journal_of(line: DailyLine) -> tuple[date, str]:
    return line.day, line.currency


_XERO_HEAD = [
    "*Narration", "*Date", "Description", "*AccountCode", "*TaxRate", "*Amount",
    "TrackingName1", "TrackingOption1", "TrackingName2", "TrackingOption2",
]  # fmt: skip
_QUICKBOOKS_HEAD = ["Journal No.", "Journal Date", "Currency", "Account Name", "Debits", "Credits", "Description"]
_DATEV_HEAD = (
    "Umsatz (ohne Soll/Haben-Kz)", "Soll/Haben-Kennzeichen", "WKZ Umsatz", "Kurs", "Basis-Umsatz", "WKZ Basis-Umsatz",
    "Konto", "Gegenkonto (ohne BU-Schlüssel)", "BU-Schlüssel", "Belegdatum", "Belegfeld 1", "Belegfeld 2", "Skonto",
    "Buchungstext",
)  # fmt: skip
LEDGERS: Mapping[str, Callable[[list[DailyLine], Asked, AccountCodes], bytes]] = {
    "xero": _xero,
    "quickbooks": _quickbooks,
    "datev": _datev,
}
