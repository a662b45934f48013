"""The country of an address, from a file in MaxMind's format."""

import maxminddb

from wallet_hooks.settings import ConfigurationError
from wallet_hooks.web.source import Address


class Countries:
    """Countries by address; without a file every country is unknown.

    Raises ConfigurationError where the file is none of the kind.
    """

    def __init__(self, file: str | None) -> None:
        try:
            self._reader = None if file is None else maxminddb.open_database(file)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            raise ConfigurationError(f"WALLET_HOOKS_GEOIP_FILE: {error}") from None

    def of(self, address: Address | None) -> str | None:
        """The ISO 3166 code of the country that the address is in, or None where that is not known."""
        if self._reader is None or address is None:
            return None
        try:
            record = self._reader.get(address)
        except ValueError:  # an IPv6 address, and a file that knows IPv4 alone
            return None
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) else None
