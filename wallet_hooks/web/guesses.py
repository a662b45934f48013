"""Caps how often an address of the internet may send a token that is unknown; counted in this worker process."""

from ipaddress import IPv6Address, ip_network

from wallet_hooks.errors import WalletHooksError
from wallet_hooks.web.source import Address
from wallet_hooks.web.throttle import Throttle

MOST_GUESSES = 300  # a minute; clients whose sessions have ended send fewer
_guesses = Throttle(MOST_GUESSES, seconds=60)


class TooManyGuessesError(WalletHooksError):
    """The address has sent too many unknown tokens: none of its tokens is looked up until the minute ends."""

    code = "too_many_requests"


def check_guesses(address: Address | None) -> None:
    """Raise TooManyGuessesError for an address that may not send another token now."""
    if (guesser := _guesser(address)) is not None and _guesses.has_reached(guesser):
        raise TooManyGuessesError("too many unknown tokens; retry in a minute")


def count_guess(address: Address | None) -> None:
    """Count an unknown token from an address."""
    if (guesser := _guesser(address)) is not None:
        _guesses.allows(guesser)


def _guesser(address: Address | None) -> str | None:
    """Return whom to count: an address, or the network of one customer with IPv6. None for an internal address.

    An internal one may be a proxy's, if WALLET_HOOKS_PROXY_HOPS is wrong: then it would stand for all callers.
    """
    if address is None or not address.is_global:
        return None
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
