"""Limits that operators set: apart from the player's own, and beyond its reach."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.play_sessions import record_bets
from wallet_hooks.errors import NotFoundError
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, OPERATOR, PENDING, REPLACED, Limit
from wallet_hooks.limits.service import CurrentLimits


def set_by_operator(
    standing: CurrentLimits, *, type_: str, frame: str, amount: int, reason: str, by: str, session: Session
) -> PlayerLimit:
    """Set a limit that a player cannot relax, at once. One of the same type and frame is replaced."""
    customer, now = standing.player.customer, standing.now
    before = _end_operators(session, standing, type_, frame, reason)
    anchor = min((limit.anchored_at for limit in before), default=now)
    row = PlayerLimit(
        customer_id=customer.id, type=type_, frame=frame, amount=amount, status=ACTIVE, set_by=OPERATOR,
        changed_by=by, reason=reason, created_at=now, effective_at=now, anchored_at=anchor, needs_confirmation=False,
    )  # fmt: skip
    session.add(row)
    customer.limited = True
    if type_ == "time_limit":
        record_bets(session, customer, gap=standing.player.policy.session_gap, now=now)
    session.flush()
    return row


def clear_by_operator(standing: CurrentLimits, *, type_: str, frame: str, reason: str, session: Session) -> None:
    """Take away a limit that an operator set. Raises NotFoundError where there is none."""
    if not _end_operators(session, standing, type_, frame, reason):
        raise NotFoundError(f"no operator's {type_} limit by the {frame}")
    query = select(PlayerLimit.id).where(
        PlayerLimit.customer_id == standing.player.customer.id, PlayerLimit.status.in_([ACTIVE, PENDING])
    )
    standing.player.customer.limited = session.scalar(query.limit(1)) is not None


def _end_operators(session: Session, standing: CurrentLimits, type_: str, frame: str, reason: str) -> list[Limit]:
    found = [
        limit
        for limit in standing.limits
        if limit.set_by == OPERATOR and limit.status == ACTIVE and (limit.type, limit.frame) == (type_, frame)
    ]
    for limit in found:
        limit.end(REPLACED, standing.now)
        session.get_one(PlayerLimit, limit.id).end_reason = reason
    standing.save()
    session.flush()
    return found
