"""The journal summed by day for general ledgers: Xero, QuickBooks and DATEV, each with its own file rules.

A day and currency is one balanced journal entry. An account has one line for debits and one for credits.
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
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.settings import ConfigurationError, Settings

XERO_LINES = 300
_MAX_LINES = {"xero": XERO_LINES, "datev": 99_999}  # in one file
_DATEV_DECIMALS = 2
_DATEV_DIGITS = 10  # before the decimal comma
_DATEV_CURRENCY = 3  # letters


class LedgerAccount(NamedTuple):
    """An account of a general ledger: its code (for Xero, DATEV) and its name (for QuickBooks, as `Parent:Child`)."""

    code: str
    name: str


class Datev(NamedTuple):
    """DATEV's parameters: consultant, client, fiscal year, and the clearing account, the other side of every line."""

    consultant: int = 1001
    client: int = 1
    account_length: int = 4
    clearing: str = "1590"
    fiscal_year_begins: str = "0101"


class AccountCodes(NamedTuple):
    """General ledger accounts by our account names, or by the start of such names up to a colon.

    The longest listed start counts. Customers' accounts have their summary names (`chart.summary_name`).
    """

    accounts: Mapping[str, LedgerAccount]
    tax_rate: str = "Tax Exempt"
    datev: Datev = Datev()

    def account_of(self, name: str) -> LedgerAccount:
        """Return the general ledger account. Raises RefusedError (`unmapped_account`) if none is listed."""
        for one in chart.with_parents(name):
            if one in self.accounts:
                return self.accounts[one]
        raise RefusedError("unmapped_account", f"accounts: the mapping file has no entry for {name!r}")


DEFAULT_CODES = AccountCodes(
    {
        chart.PAYMENT_PROVIDERS: LedgerAccount("1100", "Payment providers"),
        chart.wallets_name(chart.BETTING_WALLET): LedgerAccount("2100", "Player funds:Balances"),
        chart.wallets_name(chart.SECOND_WALLET): LedgerAccount("2105", "Player funds:Second wallet"),
        chart.wallets_name(chart.OPEN_STAKES): LedgerAccount("2110", "Player funds:Open stakes"),
        chart.CONVERSION: LedgerAccount("3900", "Currency conversion"),
        chart.STAKES: LedgerAccount("4000", "Betting income:Stakes"),
        chart.COMMISSION: LedgerAccount("4010", "Betting income:Commission"),
        chart.WINNINGS: LedgerAccount("5000", "Betting costs:Winnings"),
        chart.ADJUSTMENTS: LedgerAccount("5010", "Betting costs:Adjustments"),
    }
)


class _AccountSchema(Schema):
    code = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,19}\Z"))
    name = fields.String(required=True, validate=validate.Regexp(r"[^\x00-\x1f=+@;\"-][^\x00-\x1f;\"]{0,99}\Z"))


class _DatevSchema(Schema):
    consultant = fields.Integer(strict=True, validate=validate.Range(1001, 9_999_999))
    client = fields.Integer(strict=True, validate=validate.Range(1, 99_999))
    account_length = fields.Integer(strict=True, validate=validate.Range(4, 8))
    clearing = fields.String(validate=validate.Regexp(r"\d{4,8}\Z"))
    fiscal_year_begins = fields.String(validate=validate.Regexp(r"(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])\Z"))


class _CodesSchema(Schema):
    accounts = fields.Dict(keys=fields.String(), values=fields.Nested(_AccountSchema), load_default=dict)
    tax_rate = fields.String(validate=validate.Regexp(r"[^\x00-\x1f=+@;\"-][^\x00-\x1f;\"]{0,49}\Z"))
    datev = fields.Nested(_DatevSchema, load_default=dict)


def read_codes(path: Path) -> AccountCodes:
    """Read a mapping file; defaults apply to what it does not list. Raises RefusedError (`bad_mapping`)."""
    try:
        read = _CodesSchema().load(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RefusedError("bad_mapping", f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
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
    """Return the codes of the mapping file that the settings name, or the default codes. Raises ConfigurationError."""
    if settings.account_codes_file is None:
        return DEFAULT_CODES
    try:
        return read_codes(Path(settings.account_codes_file))
    except RefusedError as error:
        raise ConfigurationError(f"WALLET_HOOKS_ACCOUNT_CODES_FILE: {error}") from None


class DailyLine(NamedTuple):
    """An account's debits of a day (`amount` positive) or its credits (negative), in minor units of the currency."""

    day: date
    currency: str
    account: LedgerAccount
    amount: int


COLUMNS = {"day": "day", "currency": "text", "code": "text", "account": "text", "debit": "amount", "credit": "amount"}


def daily_lines(session: Session, request: ReportRequest, codes: AccountCodes) -> Iterator[DailyLine]:
    """Yield debits and credits by day, currency and general ledger account, in this order, without sums of 0.

    Stakes of 0 have such sums, and general ledgers refuse lines without an amount. Raises RefusedError.
    """
    name = chart.summary_names(Account.name).label("account")
    is_debit = (Entry.amount > 0).label("is_debit")
    query = (
        select(Transaction.booked_on, Entry.currency, name, is_debit, func.sum(Entry.amount))
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Transaction.booked_on.between(request.first, request.last))
        .group_by(Transaction.booked_on, Entry.currency, name, is_debit)
    )
    if request.currency is not None:
        query = query.where(Entry.currency == request.currency)
    sums: dict[tuple[date, str, LedgerAccount, bool], int] = {}
    for day, currency, account, debit, amount in session.execute(query):
        key = (day, currency, codes.account_of(account), not debit)
        sums[key] = sums.get(key, 0) + int(amount)
    for (day, currency, code, _), amount in sorted(sums.items()):
        if amount:
            yield DailyLine(day, currency, code, amount)


def as_rows(lines: Iterable[DailyLine]) -> Iterator[tuple[date, str, str, str, int | None, int | None]]:
    """Yield the lines as rows of COLUMNS, for the manifest's totals."""
    for day, currency, account, amount in lines:
        debit, credit = (amount, None) if amount > 0 else (None, -amount)
        yield day, currency, account.code, account.name, debit, credit


def files_of(format_: str, lines: Iterable[DailyLine]) -> list[list[DailyLine]]:
    """Split the lines into files of at most the format's number of lines, with each journal entry in one file.

    Raises RefusedError (`too_many_lines`) if one journal entry is too long for a file.
    """
    if format_ == "datev":
        lines = _split_for_datev(lines)
    if format_ not in _MAX_LINES:
        return [list(lines)]
    max_lines = _MAX_LINES[format_]
    files: list[list[DailyLine]] = [[]]
    for (day, currency), of_day in groupby(lines, key=_entry_key):
        entry = list(of_day)
        if len(entry) > max_lines:
            what = f"{day.isoformat()} {currency} has {len(entry)} lines"
            raise RefusedError("too_many_lines", f"{what}: {format_} takes {max_lines} a file")
        if len(files[-1]) + len(entry) > max_lines:
            files.append([])
        files[-1] += entry
    return files


def _split_for_datev(lines: Iterable[DailyLine]) -> Iterator[DailyLine]:
    """Split amounts with more digits than DATEV's field into several lines."""
    for line in lines:
        scale = money.decimals(line.currency)
        # The field's largest amount in minor units. A currency with more decimals than DATEV has is split at amounts
        # that two decimals can express.
        max_amount = (10 ** (_DATEV_DIGITS + min(scale, _DATEV_DECIMALS)) - 1) * 10 ** max(scale - _DATEV_DECIMALS, 0)
        rest, sign = abs(line.amount), 1 if line.amount > 0 else -1
        while rest > max_amount:
            yield line._replace(amount=sign * max_amount)
            rest -= max_amount
        yield line._replace(amount=sign * rest)


def _xero(lines: list[DailyLine], _request: ReportRequest, codes: AccountCodes) -> bytes:
    """Return Xero manual journals: signed amounts, account codes, dates as dd/mm/yyyy."""
    rows = [_XERO_HEAD]
    for day, currency, (code, name), amount in lines:
        decimal = money.format_amount(amount, currency)
        narration = f"Betting {day.isoformat()} {currency}"
        rows.append([narration, f"{day:%d/%m/%Y}", name, code, codes.tax_rate, decimal, "", "", "", ""])
    return _csv(rows)


def _quickbooks(lines: list[DailyLine], _request: ReportRequest, _codes: AccountCodes) -> bytes:
    """Return QuickBooks journal entries: numbered, debit and credit columns, account names, dates as mm/dd/yyyy."""
    rows = [_QUICKBOOKS_HEAD]
    for day, currency, account, amount in lines:
        decimal = money.format_amount(abs(amount), currency)
        debit, credit = (decimal, "") if amount > 0 else ("", decimal)
        number = f"WH-{day:%Y%m%d}-{currency}"
        rows.append([number, f"{day:%m/%d/%Y}", currency, account.name, debit, credit, f"Betting {day.isoformat()}"])
    return _csv(rows)


def _datev(lines: list[DailyLine], request: ReportRequest, codes: AccountCodes) -> bytes:
    """Return DATEV EXTF, category 21 (Buchungsstapel): Windows-1252, decimal comma, lines against the clearing account.

    A document date has no year, so a file covers one fiscal year. Raises RefusedError for what DATEV cannot express.
    """
    datev = codes.datev
    begins = _fiscal_year(request.first, datev)
    if begins != _fiscal_year(request.last, datev):
        several = f"{request.first} to {request.last} has several; give the period's first day"
        raise RefusedError("bad_period", f"a DATEV file covers one fiscal year, and {several}")
    head = (
        f'"EXTF";700;21;"Buchungsstapel";13;{request.last:%Y%m%d}000000000;;"";"";"";{datev.consultant};{datev.client};'
        f'{begins:%Y%m%d};{datev.account_length};{request.first:%Y%m%d};{request.last:%Y%m%d};"Betting";"";1;0;0;"EUR";'
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
        what = f"currency: {currency!r}; DATEV takes codes of {_DATEV_CURRENCY} letters"
        raise RefusedError("bad_currency", f"{what}: export the other currencies one by one, with option currency")
    decimal = f"{money.as_decimal(abs(amount), currency):.{_DATEV_DECIMALS}f}"
    if money.parse_number(decimal, currency) != abs(amount):
        raise RefusedError(
            "too_precise", f"amount: {money.format_amount(amount, currency)} {currency}; DATEV takes two decimals"
        )
    side = "S" if amount > 0 else "H"
    number = f"{day:%Y%m%d}{currency}"
    return (
        f'{decimal.replace(".", ",")};"{side}";"{currency}";;;"";{account.code};{datev.clearing};"";{day:%d%m};'
        f'"{number}";"";;"{account.name[:60]}"'
    )


def _check_datev_account(code: str, datev: Datev) -> None:
    if not re.fullmatch(
        rf"\d{{{datev.account_length}}}\d?", code, re.ASCII
    ):  # accounts of debtors and creditors have one digit more
        raise RefusedError(
            "bad_mapping", f"account code: {code!r}; DATEV's account_length is {datev.account_length} digits"
        )


def _fiscal_year(day: date, datev: Datev) -> date:
    begins = datev.fiscal_year_begins
    year = day.year if f"{day:%m%d}" >= begins else day.year - 1
    return date(year, int(begins[:2]), int(begins[2:]))


def _csv(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _entry_key(line: DailyLine) -> tuple[date, str]:
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
LEDGERS: Mapping[str, Callable[[list[DailyLine], ReportRequest, AccountCodes], bytes]] = {
    "xero": _xero,
    "quickbooks": _quickbooks,
    "datev": _datev,
}
