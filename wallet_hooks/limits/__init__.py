"""Players' limits: what they may bet, lose and deposit, and for how long (seeds/003)."""
