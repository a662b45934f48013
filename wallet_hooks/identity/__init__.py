"""Brands, providers and their credentials: who may call what."""
