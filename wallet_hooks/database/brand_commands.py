"""How commands reach the brands' tables, where each brand has a schema: those of one brand, or brand by brand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
from sqlalchemy import Engine

from wallet_hooks.database.brand_schemas import has_brand_schemas
from wallet_hooks.database.brands import engine_of_client, engines_of_brands
from wallet_hooks.database.faults import DATABASE_ERRORS, describe
from wallet_hooks.database.transactions import reading
from wallet_hooks.errors import NotFoundError, RefusedError, WalletHooksError


def pass_brand_engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the engine of the brand that its option names, `client` or `brand`; the context's without one."""

    @click.pass_obj
    @wraps(command)
    def run(engine: Engine, /, *arguments: Any, **given: Any) -> Any:
        client = given.get("client", given.get("brand"))
        return command(engine if client is None else engine_of_client(engine, client), *arguments, **given)

    return run


def chosen_brands(engine: Engine, client: str | None) -> Iterator[tuple[str | None, Engine]]:
    """Yield the name and the engine of the brand that was chosen, or of each as `each_brand`.

    Raises RefusedError for a brand that does not have a schema of its own.
    """
    if client is None:
        yield from named_brands(engine)
    elif not has_brand_schemas(engine):
        raise RefusedError("brand", "--brand: accepted only where each brand has a schema")
    else:
        yield client, engine_of_client(engine, client)


def engine_with_row(engine: Engine, model: type[Any], id_: int) -> Engine:
    """Return the engine of the brand whose tables have a row: ids are unique over all brands. Raises NotFoundError."""
    if not has_brand_schemas(engine):
        return engine
    for _, own in engines_of_brands(engine):
        with reading(own) as session:
            if session.get(model, id_) is not None:
                return own
    raise NotFoundError(f"no {model.__tablename__.replace('_', ' ')} {id_}")


def each_brand(engine: Engine) -> Iterator[Engine]:
    """Yield the engine of each brand, as `named_brands` does."""
    return (own for _, own in named_brands(engine))


class BrandFailures:
    """Lets a command for all brands go on with the others where one fails, and fail in the end."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._is_one_done = False

    @contextmanager
    def of(self, client: str | None, *, tolerated: str | None = None) -> Iterator[None]:
        """Run what is for one brand: an error is printed with its name. Without a name, errors are raised.

        A refusal with the code `tolerated` is printed too, and is no failure.
        """
        try:
            yield
        except (WalletHooksError, *DATABASE_ERRORS) as error:
            if client is None:
                raise
            if isinstance(error, RefusedError) and error.code == tolerated:
                click.echo(f"brand {client}: {error}")
                self._is_one_done = True
            else:
                click.echo(f"brand {client}: {describe(error)}", err=True)
                self.failed.append(client)
        else:
            self._is_one_done = True

    def end(self) -> None:
        """Exit with status 1 if a brand failed."""
        if self.failed:
            others = "; done for the other brands" if self._is_one_done else ""
            raise click.ClickException(f"failed for {', '.join(self.failed)}{others}")


def named_brands(engine: Engine) -> Iterator[tuple[str | None, Engine]]:
    """Yield the name and the engine of each brand and, if there are several, say on stderr which brand it is.

    Where all brands are together, yield one engine without a name.
    """
    brands = engines_of_brands(engine)
    for number, (client, own) in enumerate(brands, 1):
        if len(brands) > 1:
            click.echo(f"brand {client} ({number} of {len(brands)})", err=True)
        yield client, own
