"""Migrations are numbered, can be undone and repeated, and result in the schema of the models."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from freezegun import freeze_time
from sqlalchemy import Engine, inspect, text

import wallet_hooks.accounts_api.models
import wallet_hooks.betslips.models
import wallet_hooks.bookies.models
import wallet_hooks.console.models
import wallet_hooks.customers.models
import wallet_hooks.deliveries.models
import wallet_hooks.exceptions.models
import wallet_hooks.finance.models
import wallet_hooks.identity.models
import wallet_hooks.ledger.models
import wallet_hooks.limits.models
import wallet_hooks.sportsbook.models
from tests.limits.player import GatewayPlayer
from tests.world import World
from wallet_hooks.database import Base
from wallet_hooks.database.migrating import downgrade, upgrade

VERSIONS = Path(__file__).parent.parent / "migrations" / "versions"


def test_migrations_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in VERSIONS.glob("*.py"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for number, name in enumerate(names, start=1):
        source = (VERSIONS / name).read_text()
        assert re.fullmatch(r"\d{4}_[a-z_]+\.py", name)
        assert f'revision = "{number:04}"' in source
        before = f'"{number - 1:04}"' if number > 1 else None
        assert f"down_revision = {before}" in source


def test_migrations_can_be_undone_and_repeated(empty_world: World) -> None:
    engine = empty_world.engine
    before = tables(engine)
    downgrade(engine, "base")
    assert tables(engine) == {"alembic_version"}
    upgrade(engine)
    assert tables(engine) == before


# Alembic cannot compare SQLite's indexes on expressions.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_migrations_result_in_the_schema_of_the_models(empty_world: World) -> None:
    with empty_world.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [
            difference
            for difference in compare_metadata(context, Base.metadata)
            # Only SQLite has the ledger's foreign keys (see 0001), only PostgreSQL the order of deliveries (0011).
            if difference[0] != "remove_fk" and difference[:3] != ("remove_column", None, "delivery")
        ]
    assert differences == []


def test_a_pending_removal_of_all_limits_becomes_one_per_frame(world: World) -> None:
    """Migration 0014: a limit in a frame that is set later is not removed by an earlier request."""
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("day", "10"))
        player.set(bet=("week", "50"))
        player.set(bet=("week", "60"))
        downgrade(world.engine, "0013")
        removal = text(
            "INSERT INTO player_limit (customer_id, type, frame, status, set_by, moves, changed_by, created_at,"
            " anchored_at, effective_at, needs_confirmation) SELECT customer_id, type, 'no_limit', 'PENDING', set_by,"
            " moves, changed_by, created_at, anchored_at, effective_at, needs_confirmation FROM player_limit"
            " WHERE status = 'PENDING'"
        )
        with world.engine.begin() as connection:
            connection.execute(removal)
        upgrade(world.engine)
        rows = player.get()["pending"]["bet"]["all"]
        assert {row["time_frame"]: row["amount"] for row in rows} == {"week": "60", "day": "no_limit"}
        player.set(bet=("month", "500"))
        moment.tick(timedelta(hours=24))
        assert player.swap(*(row["row_id"] for row in rows)).status == 200
        assert player.active() == {"week": "60", "month": "500"}


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


MODELS = (
    wallet_hooks.accounts_api.models,
    wallet_hooks.betslips.models,
    wallet_hooks.bookies.models,
    wallet_hooks.customers.models,
    wallet_hooks.deliveries.models,
    wallet_hooks.exceptions.models,
    wallet_hooks.finance.models,
    wallet_hooks.identity.models,
    wallet_hooks.ledger.models,
    wallet_hooks.limits.models,
    wallet_hooks.sportsbook.models,
)
