"""Brands, providers, logins, API tokens, and their authentication."""
