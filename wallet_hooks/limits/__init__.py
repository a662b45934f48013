"""Player limits on stakes, losses, deposits and session time (docs/protocols/limits.md)."""
