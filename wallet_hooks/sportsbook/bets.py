"""What the provider asks, as plain values, and what it is told. Amounts are minor units of the bet's currency."""

from typing import NamedTuple

# All that a callback can be told.
CODES = frozenset(
    {
        "OK", "invalid_request", "unauthenticated", "forbidden", "unknown_bet", "conflict", "bet_already_settled",
        "superseded_settlement", "length_required", "body_too_large", "not_json", "try_again", "insufficient_funds",
        "credit_limit_exceeded", "bet_limit_exceeded", "loss_limit_exceeded", "session_time_exceeded",
        "event_stake_exceeded", "customer_unknown", "customer_inactive", "customer_locked", "customer_expired",
        "betting_not_permitted", "country_not_permitted", "currency_not_supported", "bet_cancelled",
    }
)  # fmt: skip


class BetKey(NamedTuple):
    """A bet's identity: unique within the provider's game for one brand (`client`)."""

    game: str
    client: str
    uid: str

    def __str__(self) -> str:
        return f"{self.game}:{self.client}:{self.uid}"

    @property
    def reference(self) -> str:
        """How the ledger's references to this bet begin."""
        return f"{self.game}:{self.client}:wager:{self.uid}"


class PlaceBet(NamedTuple):
    """A stake to take. `amount` is None where the currency is unknown, and `amount_sent` is what was sent for it."""

    key: BetKey
    user_uid: str
    ip: str | None
    pool_uid: str
    currency: str
    amount: int | None
    amount_sent: str
    possible_payout: int | None


class SettleBet(NamedTuple):
    """A bet's result. `payout` is None where the currency is unknown; 0 is a bet that lost.

    `stake` and `pool_uid` are the stake and coupon that the settlement names, None where it names none that can be
    read: they are compared with the wager's, and move nothing.
    """

    key: BetKey
    user_uid: str
    currency: str
    payout: int | None
    result: str | None
    stake: int | None = None
    pool_uid: str | None = None


class CancelBet(NamedTuple):
    """A stake to give back."""

    key: BetKey
    user_uid: str


class PlaceBets(NamedTuple):
    """POST /bets: all of them or none."""

    bets: tuple[PlaceBet, ...]


class SettleBets(NamedTuple):
    """POST /winners: bet by bet."""

    bets: tuple[SettleBet, ...]


class CancelBets(NamedTuple):
    """POST /bets/cancel: bet by bet."""

    bets: tuple[CancelBet, ...]


class Unreadable(NamedTuple):
    """A callback that was turned away before it could mean anything; it is stored like any other."""

    code: str
    fields: dict[str, object] | None = None
    bets: tuple[()] = ()


Request = PlaceBets | SettleBets | CancelBets | Unreadable


class Accepted(NamedTuple):
    """Done, or done before with the same facts."""


class Declined(NamedTuple):
    """Nothing was done for this request; `code` says why, and `bets` which of several bets decided: (bet id, code)."""

    code: str
    bets: tuple[tuple[str, str], ...] = ()


class Failed(NamedTuple):
    """Some bets failed, the others were done: (bet id, code) of each that failed, in the order of the request."""

    bets: tuple[tuple[str, str], ...]


Outcome = Accepted | Declined | Failed | Unreadable
