"""Parses the address that a request came from, as sockets and proxies write it."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

Address = IPv4Address | IPv6Address


class Source(NamedTuple):
    """Where a request came from: `address` is None, and `text` empty, if it is unknown.

    `is_loopback` means that it came from this machine directly; a forwarded request is not local.
    """

    address: Address | None
    text: str
    is_loopback: bool


def network_of(address: Address) -> Address | int:
    """Return what calls are counted by: an address, or with IPv6 its network of 64 bits, which one customer has."""
    return address if address.version == 4 else int(address) >> 64


@lru_cache(maxsize=4096)
def read_source(text: str | None, *, direct: bool) -> Source:
    """Return the source of a request from the address in a text. `direct` means that no proxy forwarded it."""
    address = read_address(text)
    return Source(address, str(address or ""), direct and address is not None and address.is_loopback)


# As proxies write it: optionally quoted, with port, and for IPv6 with brackets and zone.
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
    """Return the address in a text, IPv4-mapped IPv6 as IPv4; None if it is not a valid address.

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
