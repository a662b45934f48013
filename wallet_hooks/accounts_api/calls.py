"""A call of an operation, as the operations see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from wallet_hooks.accounts_api.access import KeyFacts
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class OperationCall:
    """An identified call. `given` has the parameters by their names in `parameters.py`, `now` is UTC.

    `reference` is unique: the request id and the place in the batch.
    """

    engine: Engine
    settings: Settings
    given: dict[str, Any]
    now: datetime
    reference: str
    caller: Caller | None
    app_key: KeyFacts | None

    @property
    def customer(self) -> Caller:
        """The caller of an operation that requires a session."""
        assert self.caller is not None, "the operation's access requires a session"
        return self.caller

    @property
    def key(self) -> KeyFacts:
        """The application key of an operation that requires one."""
        assert self.app_key is not None, "the operation's access requires a key"
        return self.app_key
