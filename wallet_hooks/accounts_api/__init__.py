"""The account API that Betfair's clients call (docs/protocols/accounts.md)."""
