"""Replay: run fixtures of callbacks against a service, and record fixtures from stored deliveries."""
