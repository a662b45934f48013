"""Exceptions: bets and payments that staff must look at, because the service cannot finish them by its rules."""
