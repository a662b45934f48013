"""What every HTTP API shares: strict JSON in, error envelopes out, request ids, source addresses."""
