"""What needs a person: bets and payments that the service could not finish by its own rules."""
