"""Where a request came from."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

Address = IPv4Address | IPv6Address


class Source(NamedTuple):
    """Where a request came from; None where that cannot be told. `direct` means that no proxy stood between."""

    address: Address | None
    direct: bool

    @property
    def is_loopback(self) -> bool:
        """From this very machine, with nothing between: what a proxy forwards is not local."""
        return self.direct and self.address is not None and self.address.is_loopback


@lru_cache(maxsize=4096)
def read_address(text: str | None) -> Address | None:
    """An address as text; IPv4 that is written as IPv6 is IPv4. None for anything else."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address
