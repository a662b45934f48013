"""The provider's callbacks: /bets, /winners and /bets/cancel."""
