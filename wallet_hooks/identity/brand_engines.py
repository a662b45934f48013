"""Which engine sees the tables that a call needs, where each brand has a schema: by session, username or customer.

Any other database has all tables together: each function returns the engine that it is given, and sends no query.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from wallet_hooks.database import brand_engine, has_brand_schemas, reading
from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.identity.models import LoginSession, Username
from wallet_hooks.identity.tokens import token_hash


def engine_of_login(engine: Engine, token: str) -> Engine | None:
    """Return the engine of the brand whose customer has a login session; None if there is none.

    A session may be of a customer whom a restored brand does not have any more.
    """
    query = select(Username.brand_id).join(LoginSession, LoginSession.customer_id == Username.customer_id)
    return _find(engine, query.where(LoginSession.token_hash == token_hash(token)))


def engine_of_username(engine: Engine, folded: str) -> Engine | None:
    """Return the engine of the brand whose customer has a username (regardless of case); None if there is none."""
    return _find(engine, select(Username.brand_id).where(Username.folded == folded))


@contextmanager
def seeing_customer(session: Session, customer_id: int) -> Iterator[bool]:
    """Have a session without a brand see the tables of a customer's brand in the block; yield whether it has one."""
    if not has_brand_schemas(session.get_bind().engine):
        yield True
        return
    brand_id = session.scalar(select(Username.brand_id).where(Username.customer_id == customer_id))
    if brand_id is None:
        yield False
        return
    with seeing_brand(session.connection(), brand_id):
        yield True


def _find(engine: Engine, query: Select[Any]) -> Engine | None:
    """Return the engine of the brand whose id the query returns; None if it returns none."""
    if not has_brand_schemas(engine):
        return engine
    with reading(engine) as session:
        brand_id = session.scalar(query)
    return None if brand_id is None else brand_engine(engine, brand_id)
