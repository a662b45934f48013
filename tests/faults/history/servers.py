"""The database's servers: a primary, and a node that becomes its standby and takes its place."""

import time

from tests.faults.clusters import Node
from tests.faults.network import Network


class Servers:
    """The services reach the primary through the network, the checks reach it directly."""

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

    def lose_primary(self, network: Network) -> None:
        """Kill the primary, and promote its standby, to which the network leads from now on."""
        self.primary.kill()
        self.primary, self._spare = self._spare, self.primary
        self._set_standby_names("")
        self.primary.promote()
        network.serve_from(self.primary.socket)

    def _set_standby_names(self, names: str) -> None:
        self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.execute("SELECT pg_reload_conf()")
