"""Caps how often requests from an address of the internet may fail to authenticate; counted in this worker process."""

from ipaddress import IPv6Address, ip_network

from wallet_hooks.errors import WalletHooksError
from wallet_hooks.web.source import Address
from wallet_hooks.web.throttle import Throttle

MOST_FAILURES = 300  # a minute; clients whose sessions have ended cause fewer
_failures = Throttle(MOST_FAILURES, seconds=60)


class TooManyFailuresError(WalletHooksError):
    """Too many requests from the address failed: none of its tokens is looked up until the minute ends."""

    code = "too_many_failures"


def check_failures(address: Address | None) -> None:
    """Raise TooManyFailuresError for an address that may not try again now."""
    if (caller := _caller(address)) is not None and _failures.has_reached(caller):
        raise TooManyFailuresError("too many requests from this address failed to authenticate; retry in a minute")


def count_failure(address: Address | None) -> None:
    """Count a request from an address that failed to authenticate."""
    if (caller := _caller(address)) is not None:
        _failures.allows(caller)


def _caller(address: Address | None) -> str | None:
    """Return whom to count: an address, or with IPv6 its network of 64 bits. None for an internal address.

    An internal one may be a proxy's, if WALLET_HOOKS_PROXY_HOPS is wrong: then it would stand for all callers.
    """
    if address is None or not address.is_global:
        return None
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
