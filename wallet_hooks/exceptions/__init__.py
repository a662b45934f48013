"""Exceptions: bets and payments that require manual review, because the service cannot finish them by its rules."""
