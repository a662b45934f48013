"""What a betslip allows: whether it is open, and the stakes that its prices take. Pure but for reading rows."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, NamedTuple

from wallet_hooks import money
from wallet_hooks.betslips.messages import SUCCESS, Message
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.betslips.state import price_list
from wallet_hooks.database.bulk import BulkStatement, RowSet, find_rows


class BetslipFacts(NamedTuple):
    """What decides about a bet of a betslip.

    `bounds` are the smallest stake and the sum of the largest ones by currency, in minor units: None before the first
    pmm, empty without a successful one.
    """

    brand_id: int
    game: str
    betslip_id: str
    is_open: bool
    bounds: Any


_requested = RowSet("requested", Betslip.brand_id, Betslip.game, Betslip.betslip_id)
BETSLIPS: BulkStatement[BetslipFacts] = find_rows(_requested, Betslip, BetslipFacts)


def bounds_of(messages: Iterable[Message]) -> dict[str, tuple[int, int]] | None:
    """Return the bounds of the newest pmm of each account; None without any. Only successful accounts count."""
    found: dict[str, tuple[int, int]] | None = None
    for message in messages:
        found = {} if found is None else found
        if message.body["status"]["code"] != SUCCESS:
            continue
        for entry in price_list(message):
            (currency, least), (_, most) = entry["effective"]["min"], entry["effective"]["max"]
            low, high = money.parse_number(least, currency), money.parse_number(most, currency)
            before = found.get(currency, (low, 0))
            found[currency] = (min(before[0], low), before[1] + high)
    return found


def stake_refusal(betslip: BetslipFacts, stake: int, currency: str, rates: Mapping[tuple[str, str], str]) -> str | None:
    """Return why a betslip refuses a stake (minor units of `currency`), or None.

    Bounds in other currencies are converted, the smallest stake rounded up and the largest down; without a rate for
    one of them no bound binds. `rates` are by source and target currency.
    """
    if not betslip.is_open:
        return "betslip_closed"
    if betslip.bounds is None:
        return None
    if not betslip.bounds:
        return "betslip_without_prices"
    least, most = [], 0
    for source, (low, high) in betslip.bounds.items():
        rate = "1" if source == currency else rates.get((source, currency))
        if rate is None:
            return None
        least.append(money.convert(low, source, currency, rate, rounding=ROUND_CEILING))
        most += money.convert(high, source, currency, rate, rounding=ROUND_FLOOR)
    if stake < min(least):
        return "stake_below_minimum"
    return "stake_above_maximum" if stake > most else None


def lacks_rate(betslip: BetslipFacts, currency: str, rates: Mapping[tuple[str, str], str]) -> bool:
    """Return whether a betslip's bounds do not bind a bet for want of a rate."""
    return any(source != currency and (source, currency) not in rates for source in betslip.bounds or ())
