"""`make bench`: what the service does in a second, as ratios taken in one run on one machine."""
