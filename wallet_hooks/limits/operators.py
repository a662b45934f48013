"""Limits set by an operator: stored apart from the player's own, which cannot relax or remove them."""

from sqlalchemy.orm import Session

from wallet_hooks.customers.play_sessions import record_bets
from wallet_hooks.errors import NotFoundError
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, OPERATOR, REPLACED, Limit
from wallet_hooks.limits.service import CurrentLimits


def set_by_operator(
    current: CurrentLimits, *, type_: str, frame: str, amount: int, reason: str, changed_by: str, session: Session
) -> PlayerLimit:
    """Set an operator limit, effective at once. It replaces the operator limit of the same type and frame.

    `amount` is in minor units of the customer's currency, for a time limit in minutes. `changed_by` names the operator.
    """
    customer, now = current.player.customer, current.now
    before = _end_operator_limits(session, current, type_, frame, reason)
    anchor = min((limit.anchored_at for limit in before), default=now)
    row = PlayerLimit(
        customer_id=customer.id, type=type_, frame=frame, amount=amount, status=ACTIVE, set_by=OPERATOR,
        changed_by=changed_by, reason=reason, created_at=now, effective_at=now, anchored_at=anchor,
        needs_confirmation=False,
    )  # fmt: skip
    session.add(row)
    customer.limited = True
    if type_ == "time_limit":
        record_bets(session, customer, gap=current.player.policy.session_gap, now=now)
    session.flush()
    return row


def clear_by_operator(current: CurrentLimits, *, type_: str, frame: str, reason: str, session: Session) -> None:
    """Remove an operator limit. Raises NotFoundError if there is none of this type and frame."""
    if not _end_operator_limits(session, current, type_, frame, reason):
        raise NotFoundError(f"no {type_} limit with frame {frame} was set by an operator")


def _end_operator_limits(session: Session, current: CurrentLimits, type_: str, frame: str, reason: str) -> list[Limit]:
    found = [
        limit
        for limit in current.limits
        if limit.set_by == OPERATOR and limit.status == ACTIVE and (limit.type, limit.frame) == (type_, frame)
    ]
    for limit in found:
        limit.end(REPLACED, current.now)
        session.get_one(PlayerLimit, limit.id).end_reason = reason
    current.save()
    session.flush()
    return found
