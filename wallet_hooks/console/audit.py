"""The audit trail: what staff did, to what, when and from where. It only grows."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.console.models import StaffAction
from wallet_hooks.console.paging import READ, Listed, take_page
from wallet_hooks.web.api import ApiRequest

KINDS = (
    "close", "comment", "download_breaks", "download_fixture", "export", "reconcile", "reopen", "replay", "resettle",
    "resettlement_approved", "resettlement_rejected", "resettlement_requested", "resolve", "sign_in", "sign_in_refused",
    "sign_out", "staff_added", "staff_changed",
)  # fmt: skip
OF_RECONCILIATION = ("reconcile", "download_breaks")
# Who did what was done with `wallet-hooks staff`; it is no username.
COMMAND_LINE = "(command line)"


def record(
    session: Session, action: str, subject: str, details: Mapping[str, Any], *, by: str, request: ApiRequest
) -> None:
    """Add an action to the trail, in the transaction that does it. `details` are JSON."""
    source = str(request.source.address or "")
    _add(session, action, subject, details, by=by, at=request.now, source=source, request_id=request.id)


def record_command(session: Session, action: str, subject: str, details: Mapping[str, Any], *, now: datetime) -> None:
    """Add to the trail what a command does, in the transaction that does it. `details` are JSON."""
    _add(session, action, subject, details, by=COMMAND_LINE, at=now, source="", request_id="")


def _add(
    session: Session,
    action: str,
    subject: str,
    details: Mapping[str, Any],
    *,
    by: str,
    at: datetime,
    source: str,
    request_id: str,
) -> None:
    session.add(
        StaffAction(
            at=at,
            username=by,
            action=action,
            subject=subject,
            details=dict(details),
            source=source,
            request_id=request_id,
        )
    )


def actions(
    session: Session, *, who: str, what: str, hidden: Collection[str], before: int | None = None
) -> Listed[StaffAction]:
    """Return a page of actions, newest first: of one member of staff and of one kind, or (empty) of all.

    Actions of the kinds `hidden` are left out.
    """
    query = select(StaffAction).order_by(StaffAction.id.desc()).limit(READ)
    if before is not None:
        query = query.where(StaffAction.id < before)
    query = query.where(StaffAction.action.not_in(hidden))
    if who:
        query = query.where(StaffAction.username == who)
    if what:
        query = query.where(StaffAction.action == what)
    return take_page(session.scalars(query), lambda action: action.id)
