"""Local times as instants, through every change of a zone's clocks: where accounting days and civil days begin."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=4096)
def first_instant(zone: ZoneInfo, local: datetime) -> datetime:
    """Return the first instant (UTC) at which a zone's clocks show a local time, or a later one where they skip it.

    `local` is naive, in whole seconds. Of a time that comes twice this is the first of the two.
    """
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(zone, late) == local:
        return late
    # The clocks were put forward over it: `fold` reads it by the offset before the change (too late) and after it
    # (too early), and the change lies between. zoneinfo does not say where.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > _SECOND:
        middle = early + (late - early) // _SECOND // 2 * _SECOND
        early, late = (early, middle) if _shown(zone, middle) >= local else (middle, late)
    return late


def _shown(zone: ZoneInfo, instant: datetime) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
