"""Betslip messages of the trading platform: intake, and the state that they leave (docs/protocols/betslips.md)."""
