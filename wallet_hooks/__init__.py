"""The operator's side of a sportsbook: callbacks that take stakes and pay winnings, over a double-entry ledger."""
