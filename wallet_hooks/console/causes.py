"""Which callback posted a transaction: the first one that was decided when it occurred, and that took its bet."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from wallet_hooks.deliveries.queries import Decision, bets_named_by, decisions_about
from wallet_hooks.ledger.models import Transaction
from wallet_hooks.sportsbook.messages import BETS_PATH, CANCEL_PATH, WINNERS_PATH, BetKey
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

_POSTED_KINDS = {BETS_PATH: ("stake",), WINNERS_PATH: ("settlement", "reversal"), CANCEL_PATH: ("cancel",)}


def causes_of(session: Session, transactions: Sequence[Transaction]) -> Mapping[int, UUID]:
    """Return the id of the callback that posted each transaction; those of payments and of staff have none."""
    posted = [(one, bet) for one in transactions if (bet := BetKey.of_reference(one.reference)) is not None]
    decisions: dict[str, list[Decision]] = {}
    for decision in decisions_about(session, sorted({str(bet) for _, bet in posted})):
        decisions.setdefault(decision.bet, []).append(decision)
    found = {}
    for one, bet in posted:
        for decision in decisions.get(str(bet), ()):
            if _is_of_its_time(decision, one) and _was_done(session, decision, bet):
                found[one.id] = decision.id
                break
    return found


def _is_of_its_time(decision: Decision, transaction: Transaction) -> bool:
    decided = decision.received_at + timedelta(microseconds=decision.duration_us)
    return (
        transaction.kind in _POSTED_KINDS.get(decision.path, ())
        and decision.received_at <= transaction.occurred_at <= decided
    )


def _was_done(session: Session, decision: Decision, bet: BetKey) -> bool:
    """Return whether a callback's answer says that this bet was taken, settled or cancelled: now or before."""
    if decision.status == 200:
        return True
    try:
        failed = read_json(decision.answer.encode()).get("bets")
    except InvalidJSONError:
        return False
    if decision.path == BETS_PATH or failed is None:
        return False  # of bets to place, it has taken none
    # It names the bets that failed by their uid alone, and has done the others.
    count = [one["uid"] for one in failed].count(bet.uid)
    if count == 0:
        return True
    return count < [BetKey.of_text(one).uid for one in bets_named_by(session, decision.id)].count(bet.uid)
