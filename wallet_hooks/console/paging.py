"""Pages of long lists: each continues after the key of the last row, so that every page costs the same."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy.orm import Session

from wallet_hooks.ledger.models import Entry, Transaction
from wallet_hooks.ledger.queries import entries_of

T = TypeVar("T")
PAGE = 50
# A page reads one row more, to know whether another page follows.
READ = PAGE + 1


class Listed(NamedTuple, Generic[T]):
    """The rows of a page, and the key after which the next one begins; None on the last page."""

    rows: Sequence[T]
    next: str | None


def take_page(rows: Iterable[T], key: Callable[[T], object]) -> Listed[T]:
    """Return a page of rows, of which `READ` were requested."""
    found = list(islice(rows, READ))
    return Listed(found[:PAGE], str(key(found[PAGE - 1])) if len(found) > PAGE else None)


def newest_items(session: Session, account: int | None, *, before: int | None) -> Listed[Any]:
    """Return a page of a customer's account, newest first, as rows of `Entry` and `Transaction`.

    It begins below an entry's version, None for the newest.
    """
    query = entries_of(account, Entry, Transaction).where(Entry.version.is_not(None))
    if before is not None:
        query = query.where(Entry.version < before)
    return take_page(session.execute(query.order_by(Entry.version.desc()).limit(READ)), lambda row: row.Entry.version)
