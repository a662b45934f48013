"""Pages of exceptions: the list, and one with its comments and its resolution."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from wallet_hooks.console.paging import READ, take_page
from wallet_hooks.console.rendering import Html, redirect
from wallet_hooks.console.texts import number, row_of
from wallet_hooks.console.visits import Visit
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.exceptions.models import CallbackException, ExceptionComment
from wallet_hooks.exceptions.service import exceptions_query, resolve_exception
from wallet_hooks.web.api import Reply


def show_list(visit: Visit) -> Html:
    """List exceptions, oldest first: those that are open, or all."""
    include_resolved = visit.query("all") == "yes"
    query = exceptions_query(include_resolved=include_resolved).limit(READ)
    if after := visit.query("after"):
        query = query.where(CallbackException.id > number(after, "page"))
    with reading(visit.engine) as session:
        found = take_page(session.scalars(query), lambda row: row.id)
    return Html("exceptions.html", {"found": found, "include_resolved": include_resolved})


def show(visit: Visit, id_: str) -> Html:
    """Show an exception with its comments."""
    with reading(visit.engine) as session:
        row = row_of(session, CallbackException, id_, "exception")
        own = ExceptionComment.exception_id == row.id
        comments = list(session.scalars(select(ExceptionComment).where(own).order_by(ExceptionComment.id)))
    return Html("exception.html", {"row": row, "comments": comments})


def comment(visit: Visit, id_: str) -> Reply:
    """Add a comment to an exception."""
    text, shown = visit.required("comment"), visit.form.get("newest")
    newest = number(shown, "comment") if shown else 0
    with writing(visit.engine) as session:
        row = row_of(session, CallbackException, id_, "exception")
        session.execute(locked(select(CallbackException).where(CallbackException.id == row.id), CallbackException))
        if shown is None or not _was_sent_before(session, row.id, text, newest, by=visit.member.username):
            written = {"written_at": visit.request.now, "written_by": visit.member.username}
            session.add(ExceptionComment(exception_id=row.id, text=text, **written))
            visit.record(session, "comment", f"exception {row.id}", comment=text)
    return redirect(f"/console/exceptions/{row.id}", done="commented")


def _was_sent_before(session: Session, exception_id: int, text: str, newest: int, *, by: str) -> bool:
    """Return whether one of the comments after the newest that the page showed is the same, of the same person."""
    same = (ExceptionComment.text == text, ExceptionComment.written_by == by)
    of_exception = (ExceptionComment.exception_id == exception_id, ExceptionComment.id > newest)
    return bool(session.scalar(select(exists().where(*of_exception, *same))))


def resolve(visit: Visit, id_: str) -> Reply:
    """Resolve an exception."""
    reason, exception_id = visit.reason(), number(id_, "exception")
    with writing(visit.engine) as session:
        resolve_exception(session, exception_id, reason=reason, now=visit.request.now, by=visit.member.username)
        visit.record(session, "resolve", f"exception {exception_id}", reason=reason)
    return redirect(f"/console/exceptions/{exception_id}", done="resolved")
