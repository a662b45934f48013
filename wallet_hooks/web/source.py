"""Where a request came from."""

import re
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


# As proxies write it: perhaps quoted, an IPv6 address perhaps in brackets, perhaps with a zone, perhaps with a port.
_FORWARDED = re.compile(
    r"""(?P<quote>"?)
    (?:
      (?P<v4>[\d.]{7,15}) (?: :(?P<v4_port>\d{1,5}) )?
    | (?P<bracket>\[)? (?P<v6>[\da-f:]{2,39}|[\da-f:]{2,30}:[\d.]{7,15}) (?: %[\w.~-]{1,64} )?
      (?(bracket) \] (?: :(?P<v6_port>\d{1,5}) )? )
    )
    (?P=quote)""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_MAX_PORT = 65_535


@lru_cache(maxsize=4096)
def read_address(text: str | None) -> Address | None:
    """Return the address that a text names, IPv4 where IPv4 is written as IPv6; None for anything else.

    A port, an IPv6 zone, brackets and quotes are not part of the address: `203.0.113.9:51008`, `[2001:db8::1]:443`,
    `fe80::1%eth0`.
    """
    match = _FORWARDED.fullmatch((text or "").strip(" \t"))
    if match is None or int(match["v4_port"] or match["v6_port"] or 0) > _MAX_PORT:
        return None
    try:
        address = ip_address(match["v4"] or match["v6"])
    except ValueError:
        return None
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped or address
