"""A provider's requests and their answers as plain values. Amounts are minor units of the bet's currency."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from wallet_hooks.errors import NotFoundError
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger.queries import BETTING_KINDS

_STEP = re.compile(rf"([^:]+):([^:]+):wager:(.+):({'|'.join(BETTING_KINDS)})(?::(\d+))?", re.DOTALL)
BETS_PATH, WINNERS_PATH, CANCEL_PATH = CALLBACK_PATHS = "/bets", "/winners", "/bets/cancel"
# The HTTP status of each code that is not the refusal of a bet.
STATUS_OF_CODE = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown_bet": 404,
    "conflict": 409,
    "bet_already_settled": 409,
    "superseded_settlement": 409,
    "length_required": 411,
    "body_too_large": 413,
    "not_json": 415,
    "try_again": 503,
}
# Refusals of a bet; the code may be shown to the customer.
REFUSALS = frozenset(
    {
        "insufficient_funds", "credit_limit_exceeded", "bet_limit_exceeded", "loss_limit_exceeded",
        "session_time_exceeded", "event_stake_exceeded", "betslip_closed", "betslip_unknown", "betslip_without_prices",
        "stake_below_minimum", "stake_above_maximum", "customer_unknown", "customer_inactive", "customer_locked",
        "customer_expired", "betting_not_permitted", "country_not_permitted", "currency_not_supported", "bet_cancelled",
    }
)  # fmt: skip
_REFUSED = 402
# Results of a bet that return its stake, and those that lose it, in lower case.
VOID_RESULTS = frozenset({"void", "refund", "cancelled", "canceled", "push", "returned"})
VOID = "void"  # the outcome of a wager whose settlement returned its stake
LOSS_RESULTS = frozenset({"lost", "loss", "lose"})
CODES = frozenset({"OK", *STATUS_OF_CODE, *REFUSALS})
STATUSES = frozenset({200, _REFUSED, *STATUS_OF_CODE.values()})
OK_BODY = '{"status":"OK"}'


def is_returned(status: str, outcome: str | None) -> bool:
    """Return whether a wager's stake was returned: it was cancelled, or settled as void."""
    return status == "cancelled" or outcome == VOID


def says_void(result: str | None) -> bool:
    """Return whether a settlement's result is a provider's word for void."""
    return (result or "").lower() in VOID_RESULTS


class BetKey(NamedTuple):
    """A bet's identity: unique within a game and brand (`client`)."""

    game: str
    client: str
    uid: str

    def __str__(self) -> str:
        return f"{self.game}:{self.client}:{self.uid}"

    @classmethod
    def of_text(cls, text: str) -> "BetKey":
        """Return the bet of a text that `str` made."""
        return cls(*text.split(":", 2))

    @classmethod
    def of_reference(cls, reference: str) -> "BetKey | None":
        """Return the bet of a transaction's reference; None if it is not about a bet."""
        step = BetStep.of_reference(reference)
        return None if step is None else step.bet

    def references(self, settlements: int) -> list[str]:
        """Return the ledger references of all steps of this bet, which was settled that many times."""
        steps = [BetStep(self, "stake"), BetStep(self, "cancel")]
        for number in range(1, settlements + 1):
            steps += [BetStep(self, "settlement", number), BetStep(self, "reversal", number)]
        return [step.reference for step in steps]


def unknown_wager(key: BetKey) -> NotFoundError:
    """Return the error for a bet that was never placed."""
    return NotFoundError(f"no wager {key.uid!r} of {key.game}, brand {key.client!r}")


def step_reference(game: Any, client: Any, uid: Any, step: Any) -> Any:
    """Return the ledger reference of a bet's step, from texts, or as an SQL expression from columns."""
    return game + ":" + client + ":wager:" + uid + ":" + step


def step_name(kind: str, number: int | None = None) -> str:
    """Return a step's name: how its reference ends."""
    return kind if number is None else f"{kind}:{number}"


class BetStep(NamedTuple):
    """A ledger transaction of a bet: stake, cancel, settlement or reversal, the last two with their number."""

    bet: BetKey
    kind: str
    number: int | None = None

    @property
    def reference(self) -> str:
        """The transaction's reference in the ledger."""
        reference: str = step_reference(*self.bet, step_name(self.kind, self.number))
        return reference

    @classmethod
    def of_reference(cls, reference: str) -> Self | None:
        """Return the step of a transaction's reference; None if it is not about a bet."""
        match = _STEP.fullmatch(reference)
        if match is None:
            return None
        game, client, uid, kind, number = match.groups()
        return cls(BetKey(game, client, uid), kind, None if number is None else int(number))


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
    betslip_id: str | None = None


class SettleBet(NamedTuple):
    """A bet's result. `payout` is None where the currency is unknown; 0 is a bet that lost.

    `stake` and `pool_uid` are what the settlement says of the bet, None where it says nothing readable. They are
    compared with the wager and move no money.
    """

    key: BetKey
    user_uid: str
    currency: str
    payout: int | None
    result: str | None
    stake: int | None = None
    pool_uid: str | None = None


class CancelBet(NamedTuple):
    """A stake to return."""

    key: BetKey
    user_uid: str


class PlaceBets(NamedTuple):
    """The bets of a request to POST /bets: all are taken, or none."""

    bets: tuple[PlaceBet, ...]


class SettleBets(NamedTuple):
    """POST /winners: bet by bet."""

    bets: tuple[SettleBet, ...]


class CancelBets(NamedTuple):
    """POST /bets/cancel: bet by bet."""

    bets: tuple[CancelBet, ...]


class Rejected(NamedTuple):
    """A callback that is not decided: its authentication, size or schema is wrong. It is stored like any other."""

    code: str
    fields: Mapping[str, object] | None = None
    bets: tuple[()] = ()


ProviderRequest = PlaceBets | SettleBets | CancelBets | Rejected


class Accepted(NamedTuple):
    """Done, or done before with the same facts."""


class Declined(NamedTuple):
    """Nothing was done for this request: `code` is the reason, `bets` the deciding bet of several: (bet id, code)."""

    code: str
    bets: tuple[tuple[str, str], ...] = ()


class Failed(NamedTuple):
    """Some bets failed, the others were done: (bet id, code) of each that failed, in the order of the request."""

    bets: tuple[tuple[str, str], ...]

    @property
    def code(self) -> str:
        return self.bets[0][1]


Outcome = Accepted | Declined | Failed | Rejected


class Callback(NamedTuple):
    """A callback in progress: its request, and what is stored of it. `started` is a monotonic instant in seconds."""

    id: str
    path: str
    request: ProviderRequest
    brands: Mapping[str, BrandFacts]
    source: str
    body: bytes
    received_at: datetime
    started: float


class Answer(NamedTuple):
    """An HTTP status and body, stored as it is sent; `code` is None where the callback was accepted."""

    code: str | None
    status: int
    body: str


def stored_answer(status: int, body: str) -> Answer:
    """Return an answer from what is stored of it."""
    return Answer(json.loads(body).get("error"), status, body)


def answer_of(outcome: Outcome) -> Answer:
    """Return the answer in the form of the provider's documentation."""
    if isinstance(outcome, Accepted):
        return Answer(None, 200, OK_BODY)
    body: dict[str, Any] = {"error": outcome.code}
    if isinstance(outcome, Rejected):
        if outcome.fields is not None:
            body["fields"] = outcome.fields
    elif outcome.bets:
        body["bets"] = [{"uid": uid, "error": error} for uid, error in outcome.bets]
    text = json.dumps(body, separators=(",", ":"))
    return Answer(outcome.code, STATUS_OF_CODE.get(outcome.code, _REFUSED), text)
