"""Conversion of local times to instants across clock changes: when accounting days and civil days begin."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=4096)
def first_instant(zone: ZoneInfo, local: datetime) -> datetime:
    """Return the first instant (UTC) at which a zone's clocks show a local time, or a later time if they skip it.

    `local` is naive, in whole seconds. For a time that occurs twice, the first occurrence is returned.
    """
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(zone, late) == local:
        return late
    # The clocks skip this time: `fold` converts it with the offset before the change (too late) and after it (too
    # early). The change lies between the two; zoneinfo does not expose it, so search for it.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > _SECOND:
        middle = early + (late - early) // _SECOND // 2 * _SECOND
        early, late = (early, middle) if _shown(zone, middle) >= local else (middle, late)
    return late


def _shown(zone: ZoneInfo, instant: datetime) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
