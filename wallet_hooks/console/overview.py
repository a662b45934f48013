"""The start page: checks of the ledger, statistics of callbacks, and open exceptions."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.console.charts import Series, bar_chart
from wallet_hooks.console.limits import limits_near_their_end
from wallet_hooks.console.rendering import Html
from wallet_hooks.console.statistics import OUTCOMES, SPANS, Statistics, callback_statistics
from wallet_hooks.console.visits import Visit
from wallet_hooks.console.wagers import open_requests
from wallet_hooks.database import reading
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.errors import NotFoundError
from wallet_hooks.exceptions.models import CallbackException
from wallet_hooks.finance.models import Verification
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.ledger.queries import newest_transaction_id, sum_open_stakes
from wallet_hooks.ledger.sealing import newest_seal
from wallet_hooks.replay.bodies import body_member
from wallet_hooks.replay.fixture import find_bets

# Providers are found in the bodies of the newest deliveries: a delivery may name bets of several.
_SEARCHED_DELIVERIES = 200
_LARGEST_BODY = 16 * 1024


class LastDelivery(NamedTuple):
    """A provider's game for a brand, and when its last callback came; None if none of the newest is its own."""

    brand: str
    game: str
    received_at: datetime | None


def show(visit: Visit) -> Html:
    """Show the state of the service."""
    span = SPANS.get(visit.query("over") or "hour")
    if span is None:
        raise NotFoundError("The page shows the last hour or the last day.")
    with reading(visit.reports) as session:
        statistics = callback_statistics(session, span, now=visit.request.now)
        values: dict[str, Any] = {
            "span": span,
            "spans": SPANS,
            "statistics": statistics,
            "outcomes": OUTCOMES,
            "picture": _chart(statistics, span.name),
            "verification": _verification(session),
            "seal": newest_seal(session),
            "open_stakes": [
                (currency, money.format_amount(minor, currency))
                for currency, minor in sorted(sum_open_stakes(session).items())
                if minor
            ],
            "providers": _last_deliveries(session),
            "searched": _SEARCHED_DELIVERIES,
            "open_exceptions": _open_exceptions(session),
            "requests": open_requests(session),
            "newest_transaction": newest_transaction_id(session),
            "near_limits": limits_near_their_end(session, now=visit.request.now),
        }
    return Html("overview.html", values)


def _verification(session: Session) -> Verification | None:
    """Return the newest run of `verify` that found differences since the last run over all history, or the newest."""
    newest = select(Verification).order_by(Verification.id.desc()).limit(1)
    last_whole = select(func.max(Verification.id)).where(Verification.since.is_(None)).scalar_subquery()
    failed = session.scalar(newest.where(Verification.differences > 0, Verification.id >= func.coalesce(last_whole, 0)))
    return failed or session.scalar(newest)


def _chart(statistics: Statistics, span: str) -> Any:
    labels = [f"{bar.begins:%H:%M}" for bar in statistics.bars]
    series = [
        Series(name, f"outcome-{name}", [bar.counts[n] for bar in statistics.bars]) for n, name in enumerate(OUTCOMES)
    ]
    counted = ", ".join(f"{statistics.totals[name]:,} {name}" for name in OUTCOMES)
    return bar_chart(labels, series, title=f"Callbacks, {span}", sentence=f"{counted}.")


def _open_exceptions(session: Session) -> list[tuple[str, int]]:
    query = select(CallbackException.kind, func.count()).where(CallbackException.resolved_at.is_(None))
    return [(kind, count) for kind, count in session.execute(query.group_by(CallbackException.kind).order_by("kind"))]


def _last_deliveries(session: Session) -> list[LastDelivery]:
    # Only small bodies are read: they name their provider as well as large ones, and cost little.
    body = case((func.length(Delivery.body) <= _LARGEST_BODY, Delivery.body))
    newest = select(Delivery.received_at, body).order_by(Delivery.id.desc()).limit(_SEARCHED_DELIVERIES)
    last: dict[tuple[str, str], datetime] = {}
    for received_at, body in session.execute(newest):
        for bet in find_bets(body_member(body or b"")):
            last.setdefault((bet["brand"], bet["game"]), received_at)
    providers = select(Brand.client, Provider.game).join(Provider, Provider.brand_id == Brand.id)
    rows = session.execute(providers.order_by(Brand.client, Provider.game))
    return [LastDelivery(client, game, last.get((client, game))) for client, game in rows]
