"""Where a brand's customers may bet from."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from wallet_hooks.database import RowStatement
from wallet_hooks.errors import RefusedError

COUNTRY_RULES = RowStatement(
    "SELECT b.id, CAST(b.allowed_countries AS text), CAST(b.denied_countries AS text) FROM {asked}"
    " JOIN brand b ON b.id = asked.id"
    " WHERE CAST(b.allowed_countries AS text) <> '[]' OR CAST(b.denied_countries AS text) <> '[]'",
    asked={"id": "bigint"},
)


class CountryRules(NamedTuple):
    """ISO 3166 codes. Empty lists bind nothing; with either, an unknown country is not permitted."""

    allowed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    def permit(self, country: str | None) -> bool:
        if not self.allowed and not self.denied:
            return True
        return country is not None and country not in self.denied and (not self.allowed or country in self.allowed)


def country_rules(rows: Iterable[Sequence[Any]]) -> dict[int, CountryRules]:
    """Rows of COUNTRY_RULES by brand id; a brand without rules is not among them."""
    return {id_: CountryRules(_codes(allowed), _codes(denied)) for id_, allowed, denied in rows}


def check_countries(codes: Sequence[str]) -> list[str]:
    """The codes as a brand stores them. Raises RefusedError unless each is two capital letters."""
    if not all(re.fullmatch("[A-Z]{2}", code) for code in codes):
        raise RefusedError("bad_country", "a country is an ISO 3166 code of two capital letters")
    return sorted(set(codes))


@lru_cache(maxsize=1024)
def _codes(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))
