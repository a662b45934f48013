"""The map of coupons to events, which staff import."""

from collections.abc import Iterable, Sequence
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.sportsbook.models import CouponEvent
from wallet_hooks.web.fields import Identifier

_ID = Identifier()


def map_events(session: Session, rows: Iterable[Sequence[Any]]) -> int:
    """Store (game, coupon, event) rows, replacing earlier rows of a coupon. Raises RefusedError for a bad row.

    Bets that commit afterwards use the new map; stakes taken before count on their new event.
    """
    count = 0
    for count, row in enumerate(rows, start=1):
        if len(row) != 3:
            raise RefusedError("bad_row", f"row {count}: {len(row)} columns; game, coupon and event are expected")
        try:
            game, pool_uid, event = map(_ID.deserialize, row)
        except ValidationError as error:
            raise RefusedError("bad_row", f"row {count}: {error.messages[0]}") from None
        session.merge(CouponEvent(game=game, pool_uid=pool_uid, event=event))
    return count
