"""`make bench`: throughput of the service, as ratios measured in one run on one machine."""
