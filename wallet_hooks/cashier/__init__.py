"""The cashier: deposits, withdrawals and adjustments."""
