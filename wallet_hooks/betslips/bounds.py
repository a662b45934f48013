"""What a betslip allows: whether it is open, and the smallest and largest stake that its prices accept.

Pure but for the statement.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, NamedTuple

from wallet_hooks import money
from wallet_hooks.betslips.models import Betslip, StakeBounds
from wallet_hooks.database.bulk import BulkStatement, RowSet, find_rows

_NOISE, _EXACT = Decimal("1e-9"), Context(prec=60)
WITHOUT_RATE = "betslip_without_rate"


class BetslipFacts(NamedTuple):
    """What decides about a bet of a betslip. `bounds`: None before the first pmm, empty without a successful one."""

    brand_id: int
    game: str
    betslip_id: str
    is_open: bool
    bounds: StakeBounds | None


_requested = RowSet("requested", Betslip.brand_id, Betslip.game, Betslip.betslip_id)
BETSLIPS: BulkStatement[BetslipFacts] = find_rows(_requested, Betslip, BetslipFacts)


def bounds_of_prices(price_list: Iterable[Any]) -> StakeBounds:
    """Return the bounds of a price list: every entry adds what its bookmaker takes at that price.

    A smallest stake is rounded up to the currency's scale, a largest one down.
    """
    offers = [entry["effective"] for entry in price_list]
    return merged_bounds(
        {offer["min"][0]: (_minor(offer["min"], ROUND_CEILING), _minor(offer["max"], ROUND_FLOOR))} for offer in offers
    )


def _minor(stake: Any, rounding: str) -> int:
    """Return a stake in minor units."""
    currency, amount = stake
    return money.parse_number(f"{without_noise(amount):f}", currency, rounding=rounding)


def without_noise(amount: str) -> Decimal:
    """Return an amount without errors of floating point, such as 278.64000000000004."""
    return Decimal(amount).quantize(_NOISE, context=_EXACT)


def merged_bounds(of_accounts: Iterable[StakeBounds]) -> StakeBounds:
    """Return the smallest minimum and the sum of the maximums of several bounds."""
    merged: dict[str, tuple[int, int]] = {}
    for bounds in of_accounts:
        for currency, (low, high) in bounds.items():
            least, most = merged.get(currency, (low, 0))
            merged[currency] = (min(least, low), most + high)
    return merged


def price_refusal(betslip: BetslipFacts, stake: int, currency: str, rates: Mapping[tuple[str, str], str]) -> str | None:
    """Return why a betslip refuses a stake (minor units of `currency`), or None.

    Bounds in other currencies are converted, the smallest stake rounded up and the largest down; WITHOUT_RATE says that
    no bound could be converted, because no rate is stored. `rates` are by source and target currency.
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
            return WITHOUT_RATE
        least.append(money.convert(low, source, currency, rate, rounding=ROUND_CEILING))
        most += money.convert(high, source, currency, rate, rounding=ROUND_FLOOR)
    if stake < min(least):
        return "stake_below_minimum"
    return "stake_above_maximum" if stake > most else None
