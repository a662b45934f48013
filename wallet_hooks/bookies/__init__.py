"""Accounts at bookmakers: which ones a customer may use, and what is on them."""
