"""Deposits, withdrawals and adjustments."""
