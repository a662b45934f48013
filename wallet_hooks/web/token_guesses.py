"""Caps how many unknown tokens an address of the internet may try, counted in this worker process."""

from collections.abc import Iterator
from contextlib import contextmanager

from wallet_hooks.errors import SessionEndedError, UnauthenticatedError, WalletHooksError
from wallet_hooks.logs import LOG
from wallet_hooks.web.source import Address, network_of
from wallet_hooks.web.throttle import Throttle

MOST_GUESSES = 1000  # a minute: many clients behind one address may have sessions that have ended
_guesses = Throttle(MOST_GUESSES, seconds=60)


class TooManyGuessesError(WalletHooksError):
    """Too many tokens from the address were unknown: no other one is looked up until the minute ends."""

    code = "too_many_guesses"


@contextmanager
def looking_up_token(token: str, address: Address | None) -> Iterator[None]:
    """Put around the look-up of a token from an address: counts it if it raises UnauthenticatedError.

    An empty text is no token, and does not count. Raises TooManyGuessesError, without the look-up, where too many were
    counted.
    """
    if not token:
        yield
        return
    check_guesses(address)
    try:
        yield
    except SessionEndedError:  # the token is known
        raise
    except UnauthenticatedError:
        count_guess(address)
        raise


def check_guesses(address: Address | None) -> None:
    """Raise TooManyGuessesError where too many tokens from the address were unknown."""
    if (guesser := _guesser(address)) is not None and _guesses.has_reached(guesser):
        raise TooManyGuessesError("too many unknown tokens from this address; retry in a minute")


def count_guess(address: Address | None) -> None:
    """Count an unknown token, code or secret from an address. Reaching the cap is logged."""
    if (guesser := _guesser(address)) is not None:
        _guesses.allows(guesser)
        if _guesses.has_reached(guesser):
            LOG.warning("token_guesses_refused", address=str(address))


def _guesser(address: Address | None) -> Address | int | None:
    """Return whom to count; None for an unknown or internal address.

    An internal one may be a proxy's, if WALLET_HOOKS_PROXY_HOPS is wrong: then it would stand for all callers.
    """
    if address is None or not address.is_global:
        return None
    return network_of(address)
