"""Where a brand's customers may bet from."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wallet_hooks.database.bulk import RowSet, find_rows
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.models import Brand


class CountryRules(NamedTuple):
    """ISO 3166 codes. Empty lists bind nothing; with either, an unknown country is not permitted."""

    allowed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def permit(self, country: str | None) -> bool:
        if not self.allowed and not self.denied:
            return True
        return country is not None and country not in self.denied and (not self.allowed or country in self.allowed)


class CountriesRow(NamedTuple):
    """A brand's lists, as `models.Brand` keeps them."""

    id: int
    allowed_countries: Sequence[str]
    denied_countries: Sequence[str]


_brands = RowSet("asked", Brand.id)
COUNTRY_RULES = find_rows(_brands, Brand, CountriesRow)


def country_rules(rows: Iterable[CountriesRow]) -> dict[int, CountryRules]:
    """The rules by brand id; a brand without rules is not among them."""
    return {
        row.id: CountryRules(frozenset(row.allowed_countries), frozenset(row.denied_countries))
        for row in rows
        if row.allowed_countries or row.denied_countries
    }


def check_countries(codes: Sequence[str]) -> list[str]:
    """The codes as a brand stores them. Raises RefusedError unless each is two capital letters."""
    if not all(re.fullmatch("[A-Z]{2}", code) for code in codes):
        raise RefusedError("bad_country", "a country is an ISO 3166 code of two capital letters")
    return sorted(set(codes))
