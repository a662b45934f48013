"""Bookmaker accounts: which ones a customer may use, and their balances."""
