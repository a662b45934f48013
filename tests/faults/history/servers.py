"""The database's servers: a primary, and a node that becomes its standby and takes its place."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.clusters import Node


class Servers:
    """The services reach both through the network, the checks reach them directly."""

    def __init__(self, primary: Node, spare: Node) -> None:
        self.primary = primary
        self._spare = spare
        self.nodes = (primary, spare)

    @property
    def url(self) -> str:
        """Whichever node accepts writes."""
        return f"{self.nodes[0].url}&host={self.nodes[1].directory}&target_session_attrs=read-write"

    def add_standby(self) -> None:
        """Make the other node a synchronous standby."""
        self._spare.copy_from(self.primary, name="standby", durable=True)
        self._spare.start()
        self._set_standby_names("standby")
        while self.primary.execute("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
            time.sleep(0.05)

    def lose_primary(self) -> None:
        """Kill the primary, and promote its standby."""
        self.primary.kill()
        self.primary, self._spare = self._spare, self.primary
        self._set_standby_names("")
        self.primary.promote()

    @contextmanager
    def old_primary_back(self) -> Iterator[None]:
        """Start the primary that was lost, by mistake as a primary, which accepts writes; stop it again."""
        self._spare.start()
        self._set_standby_names("", node=self._spare)
        yield
        self._spare.stop()

    def _set_standby_names(self, names: str, *, node: Node | None = None) -> None:
        node = node or self.primary
        node.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        node.execute("SELECT pg_reload_conf()")
