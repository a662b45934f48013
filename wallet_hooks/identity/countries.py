"""The countries from which a brand's customers may bet."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wallet_hooks.database.bulk import RowSet, find_rows
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.models import Brand

COUNTRY_CODE = "[A-Z]{2}"  # as ISO 3166 has it


class CountryRules(NamedTuple):
    """Allowed and denied ISO 3166 codes. Both empty: no restriction. Otherwise an unknown country is denied."""

    allowed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def permit(self, country: str | None) -> bool:
        """Return whether a bet from the country is allowed; None is an unknown country."""
        if not self.allowed and not self.denied:
            return True
        return country is not None and country not in self.denied and (not self.allowed or country in self.allowed)


_NO_RULES = CountryRules()


class CountriesRow(NamedTuple):
    """A brand's country lists: a row of `models.Brand`."""

    id: int
    allowed_countries: Sequence[str]
    denied_countries: Sequence[str]


_requested = RowSet("requested", Brand.id)
COUNTRY_RULES = find_rows(_requested, Brand, CountriesRow)


def country_rules(rows: Iterable[CountriesRow]) -> dict[int, CountryRules]:
    """Return the rules by brand id. Brands without rules are omitted."""
    return {
        row.id: CountryRules(frozenset(row.allowed_countries), frozenset(row.denied_countries))
        for row in rows
        if row.allowed_countries or row.denied_countries
    }


def permit(rules: Mapping[int, CountryRules], brand_id: int, country: str | None) -> bool:
    """Return whether a brand's rules permit bets from a country (None: unknown); a brand without rules permits all."""
    return rules.get(brand_id, _NO_RULES).permit(country)


def check_countries(codes: Sequence[str]) -> list[str]:
    """Return the codes sorted and without duplicates. Raises RefusedError unless each is two capital letters."""
    for code in codes:
        if not re.fullmatch(COUNTRY_CODE, code):
            raise RefusedError("bad_country", f"country {code!r}: an ISO 3166 code of two capital letters is expected")
    return sorted(set(codes))
