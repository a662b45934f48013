"""What every HTTP API shares: bodies, envelopes, ids, source addresses, caps; and the loop's connections."""
