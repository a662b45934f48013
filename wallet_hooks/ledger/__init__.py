"""Accounts, transactions and entries: the only writer of money."""
