"""Replay: fixtures of callbacks, run against a service, and made of what it answered."""
