"""Looks up the country of an IP address in a file of MaxMind's format."""

import maxminddb

from wallet_hooks.settings import ConfigurationError
from wallet_hooks.web.source import Address


class Countries:
    """Countries by IP address; without a file every country is unknown.

    Raises ConfigurationError if the file cannot be read or has another format.
    """

    def __init__(self, file: str | None) -> None:
        try:
            self._reader = None if file is None else maxminddb.open_database(file)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            reason = f"{file}: {error.strerror}" if isinstance(error, OSError) else error
            raise ConfigurationError(f"WALLET_HOOKS_GEOIP_FILE: {reason}") from None

    def of(self, address: Address | None) -> str | None:
        """Return the ISO 3166 code of the address's country, or None if it is unknown."""
        if self._reader is None or address is None:
            return None
        try:
            record = self._reader.get(address)
        except ValueError:  # an IPv6 address, but a file with IPv4 only
            return None
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) else None
