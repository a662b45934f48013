"""The schemas of the three callbacks (docs/protocols/callbacks.md), and their reading into plain values.

The nesting is the one of the provider's public documentation, where the scanned source is broken.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from wallet_hooks import money
from wallet_hooks.sportsbook.messages import (
    BetKey,
    CancelBet,
    CancelBets,
    PlaceBet,
    PlaceBets,
    SettleBet,
    SettleBets,
    says_void,
)
from wallet_hooks.web.fields import Amount, Anything, BaseSchema, Identifier, Lenient, Text
from wallet_hooks.web.quick_reader import quick_reader
from wallet_hooks.web.strict_json import Number

_SOME = validate.Length(min=1)


class BettingUserSchema(BaseSchema):
    client = Identifier(required=True, metadata={"description": "The brand, by its client name."})
    uid = Identifier(required=True, metadata={"description": "The customer's id at the operator."})
    ip = Lenient(Text(max_length=64), metadata={"description": "Where the customer placed the bet from."})


class BetslipPoolSchema(BaseSchema):
    client = Identifier(required=True, metadata={"description": "The brand again, the same as user.client."})
    currency = Text(required=True, min_length=3, max_length=6, metadata={"description": "Currency of the bet."})
    game = Identifier(required=True, metadata={"description": "The provider's game, such as betflex."})
    uid = Identifier(required=True, metadata={"description": "The coupon: what the bet is on."})
    overdraw = Lenient(Amount(), metadata={"description": "Potential payout."})


class BetIdentifier(Identifier):
    """A bet's id; one that was sent as a number stays a `Number`, because it does not name a betslip."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return Number(text) if type(value) is Number else text


class BetExtraSchema(BaseSchema):
    betslip_id = Identifier(metadata={"description": "The betslip that the bet is from."})


class StakeSchema(BaseSchema):
    uid = BetIdentifier(
        required=True,
        metadata={"description": "The bet's id, unique within game and brand; a string may be a betslip's id."},
    )
    amount = Amount(required=True, metadata={"description": "The stake to take; 0 is accepted."})
    extra = Lenient(fields.Nested(BetExtraSchema))


class PlacedBetSchema(BaseSchema):
    user = fields.Nested(BettingUserSchema, required=True)
    pool = fields.Nested(BetslipPoolSchema, required=True)
    bet = fields.Nested(StakeSchema, required=True)


class PlaceBetsSchema(BaseSchema):
    """Body of POST /bets."""

    bets = fields.List(fields.Nested(PlacedBetSchema), required=True, validate=_SOME)


class NamedUserSchema(BaseSchema):
    client = Identifier(required=True, metadata={"description": "The brand, by its client name."})
    uid = Identifier(known=True, required=True, metadata={"description": "The customer's id at the operator."})
    name = Anything(metadata={"description": "The customer's name; not read."})


class SettledPoolSchema(BaseSchema):
    client = Anything(metadata={"description": "The provider's own name; the brand is user.client."})
    game = Identifier(required=True)
    uid = Lenient(Identifier(), metadata={"description": "The coupon; another one than the bet's is an exception."})
    currency = Anything(metadata={"description": "Base currency of the coupon; the bet has its own."})
    overdraw = Anything()
    cost = Anything()
    guaranteed = Anything()


class ResultWord(Text):
    """The result of a bet. A text that is too long or has control characters settles by the payout, as one without."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if type(value) is not str:
            raise ValidationError("Not a string.")
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except ValidationError:
            return None


class ResultSchema(BaseSchema):
    uid = Identifier(known=True, required=True)
    currency = Text(required=True, min_length=3, max_length=6, metadata={"description": "Currency of the bet."})
    amount = Lenient(Amount(), metadata={"description": "The stake; another one than the recorded is an exception."})
    payout = Amount(required=True, metadata={"description": "What the customer gets; 0 closes the bet."})
    base_payout = Anything()
    odds = Anything()
    rake = Anything()
    result = ResultWord(
        allow_none=True,
        metadata={"description": "A word for void with payout = stake returns the stake; others change nothing."},
    )
    extra = Anything()


class SettledBetSchema(BaseSchema):
    user = fields.Nested(NamedUserSchema, required=True)
    bet = fields.Nested(ResultSchema, required=True)


class SettledCouponSchema(BaseSchema):
    pool = fields.Nested(SettledPoolSchema, required=True)
    bets = fields.List(fields.Nested(SettledBetSchema), required=True, validate=_SOME)


class SettleBetsSchema(BaseSchema):
    """Body of POST /winners."""

    pools = fields.List(fields.Nested(SettledCouponSchema), required=True, validate=_SOME)


class CancelledPoolSchema(BaseSchema):
    client = Anything(metadata={"description": "The provider's own name; the brand is user.client."})
    status = Anything()
    game = Identifier(required=True)
    uid = Anything()


class RefundSchema(BaseSchema):
    uid = Identifier(known=True, required=True)
    amount = Anything(metadata={"description": "The stake, for information: the recorded one is given back."})
    rake = Anything()


class CancelledBetSchema(BaseSchema):
    user = fields.Nested(NamedUserSchema, required=True)
    bet = fields.Nested(RefundSchema, required=True)


class CancelledCouponSchema(BaseSchema):
    pool = fields.Nested(CancelledPoolSchema, required=True)
    bets = fields.List(fields.Nested(CancelledBetSchema), required=True, validate=_SOME)


class CancelBetsSchema(BaseSchema):
    """Body of POST /bets/cancel."""

    pools = fields.List(fields.Nested(CancelledCouponSchema), required=True, validate=_SOME)


class CallbackAcceptedSchema(BaseSchema):
    """Done, or done before with the same facts."""

    status = fields.String(required=True, validate=validate.Equal("OK"))


class FailedBetSchema(BaseSchema):
    uid = fields.String(required=True)
    error = fields.String(required=True)


class CallbackErrorSchema(BaseSchema):
    """Refused: `error` has the code."""

    error = fields.String(required=True)
    fields_ = fields.Dict(data_key="fields", metadata={"description": "What is wrong, field by field."})
    bets = fields.List(fields.Nested(FailedBetSchema), metadata={"description": "Which bets failed."})


_load_placed = quick_reader(PlaceBetsSchema())
_load_settled = quick_reader(SettleBetsSchema())
_load_cancelled = quick_reader(CancelBetsSchema())


def read_place_bets(document: Any) -> PlaceBets:
    """Raises marshmallow's ValidationError, as do the other two."""
    items = _load_placed(document)["bets"]
    return PlaceBets(tuple(_place_bet(item, index) for index, item in enumerate(items)))


def read_settle_bets(document: Any) -> SettleBets:
    outcomes: dict[tuple[BetKey, str], tuple[int | None, bool]] = {}
    bets = []
    for pool, item, path in _bets_of_pools(_load_settled(document)):
        bet = _settle_bet(pool, item, path)
        payout, is_void = outcomes.setdefault((bet.key, bet.currency), (bet.payout, says_void(bet.result)))
        if payout != bet.payout:
            raise _invalid((*path, "bet", "payout"), "another payout for the same bet than before in this request")
        if is_void != says_void(bet.result):
            raise _invalid((*path, "bet", "result"), "void and another result for the same bet in this request")
        bets.append(bet)
    return SettleBets(tuple(bets))


def read_cancel_bets(document: Any) -> CancelBets:
    return CancelBets(
        tuple(
            CancelBet(BetKey(pool["game"], item["user"]["client"], item["bet"]["uid"]), item["user"]["uid"])
            for pool, item, _ in _bets_of_pools(_load_cancelled(document))
        )
    )


_Path = tuple[str | int, ...]


def _bets_of_pools(document: Any) -> Iterator[tuple[Any, Any, _Path]]:
    for number, coupon in enumerate(document["pools"]):
        for index, item in enumerate(coupon["bets"]):
            yield coupon["pool"], item, ("pools", number, "bets", index)


def _place_bet(item: Any, index: int) -> PlaceBet:
    user, pool, bet = item["user"], item["pool"], item["bet"]
    currency = pool["currency"]
    path = ("bets", index)
    if pool["client"] != user["client"]:
        raise _invalid((*path, "pool", "client"), "not the brand that user.client names")
    uid = bet["uid"]
    return PlaceBet(
        BetKey(pool["game"], user["client"], str(uid)),
        user["uid"],
        user.get("ip"),
        pool["uid"],
        currency,
        _minor(bet["amount"], currency, lambda: (*path, "bet", "amount")),
        bet["amount"],
        _readable_minor(pool.get("overdraw"), currency),
        (bet.get("extra") or {}).get("betslip_id", None if type(uid) is Number else uid),
    )


def _settle_bet(pool: Any, item: Any, path: _Path) -> SettleBet:
    user, bet = item["user"], item["bet"]
    currency = bet["currency"]
    return SettleBet(
        BetKey(pool["game"], user["client"], bet["uid"]),
        user["uid"],
        currency,
        _minor(bet["payout"], currency, lambda: (*path, "bet", "payout")),
        bet.get("result"),
        _readable_minor(bet.get("amount"), currency),
        pool.get("uid"),
    )


def _minor(text: str, currency: str, path: Callable[[], _Path]) -> int | None:
    """Minor units; None for an unknown currency, which is refused later as such and is no malformed body."""
    try:
        return money.parse_amount(text, currency)
    except money.UnknownCurrencyError:
        return None
    except money.AmountError as error:
        raise _invalid(path(), str(error)) from None


def _readable_minor(text: str | None, currency: str) -> int | None:
    """Minor units of an informative amount; None where it cannot be read."""
    try:
        return None if text is None else money.parse_amount(text, currency)
    except money.MoneyError:
        return None


def _invalid(path: _Path, message: str) -> ValidationError:
    errors: Any = [message]
    for step in reversed(path):
        errors = {step: errors}
    return ValidationError(errors)
