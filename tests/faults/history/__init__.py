"""Records what clients of the service asked and were answered while it fails, and decides whether that is true."""
