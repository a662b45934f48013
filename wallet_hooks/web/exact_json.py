"""Writes JSON with exact decimals as numbers."""

from typing import Any

import simplejson


def dumps(value: Any) -> str:
    """Return compact JSON; a Decimal becomes a number with all its digits."""
    return str(simplejson.dumps(value, use_decimal=True, separators=(",", ":")))
