"""Pages of long lists: each continues after the key of the last row, so that every page costs the same."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

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
