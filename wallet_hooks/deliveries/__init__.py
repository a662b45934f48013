"""Stored callbacks: raw requests and their answers."""
