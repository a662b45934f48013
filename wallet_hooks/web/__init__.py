"""The edge that all rooms share: strict JSON in, error envelopes out, request ids, source addresses."""
