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
from wallet_hooks.web.body_reader import body_reader
from wallet_hooks.web.fields import Absent, Amount, Anything, BaseSchema, Identifier, Lenient, Text, currency_code
from wallet_hooks.web.strict_json import Number

_SOME = validate.Length(min=1)


class BettingUserSchema(BaseSchema):
    client = Identifier(required=True, metadata={"description": "The brand, by its client name."})
    uid = Identifier(required=True, metadata={"description": "The customer's id at the operator."})
    ip = Lenient(Text(max_length=64), metadata={"description": "Where the customer placed the bet from."})


class PlacedPoolSchema(BaseSchema):
    client = Identifier(required=True, metadata={"description": "The brand again, the same as user.client."})
    currency = currency_code(required=True, metadata={"description": "Currency of the bet."})
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
    pool = fields.Nested(PlacedPoolSchema, required=True)
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
    currency = currency_code(required=True, metadata={"description": "Currency of the bet."})
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
    # Signatures cover the body alone: that of a settlement must not cancel its bets.
    payout = Absent("This is a settlement, not a cancel.")


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


_load_placed = body_reader(PlaceBetsSchema(), like={BetIdentifier: Identifier})
_load_settled = body_reader(SettleBetsSchema(), like={ResultWord: Text})
_load_cancelled = body_reader(CancelBetsSchema())


def read_place_bets(body: bytes) -> PlaceBets:
    """Raises InvalidJSONError and marshmallow's ValidationError, as do the other two."""
    items = _load_placed(body)["bets"]
    return PlaceBets(tuple(_place_bet(item, index) for index, item in enumerate(items)))


def read_settle_bets(body: bytes) -> SettleBets:
    outcomes: dict[tuple[BetKey, str], tuple[int | None, bool]] = {}
    bets = []
    for pool, item, path in _bets_of_pools(_load_settled(body)):
        bet = _settle_bet(pool, item, path)
        payout, is_void = outcomes.setdefault((bet.key, bet.currency), (bet.payout, says_void(bet.result)))
        if payout != bet.payout:
            raise _invalid((*path, "bet", "payout"), "another payout for the same bet than before in this request")
        if is_void != says_void(bet.result):
            raise _invalid((*path, "bet", "result"), "void and another result for the same bet in this request")
        bets.append(bet)
    return SettleBets(tuple(bets))


def read_cancel_bets(body: bytes) -> CancelBets:
    return CancelBets(
        tuple(
            CancelBet(_key(pool, item), str(item["user"]["uid"]))
            for pool, item, _ in _bets_of_pools(_load_cancelled(body))
        )
    )


_Path = tuple[str | int, ...]


def _bets_of_pools(document: Any) -> Iterator[tuple[Any, Any, _Path]]:
    for number, coupon in enumerate(document["pools"]):
        for index, item in enumerate(coupon["bets"]):
            yield coupon["pool"], item, ("pools", number, "bets", index)


def _key(pool: Any, item: Any) -> BetKey:
    return BetKey(str(pool["game"]), str(item["user"]["client"]), str(item["bet"]["uid"]))


def _place_bet(item: Any, index: int) -> PlaceBet:
    user, pool, bet = item["user"], item["pool"], item["bet"]
    currency, amount, uid = pool["currency"], str(bet["amount"]), bet["uid"]
    path = ("bets", index)
    if str(pool["client"]) != str(user["client"]):
        raise _invalid((*path, "pool", "client"), "not the brand that user.client names")
    betslip_id = (bet.get("extra") or {}).get("betslip_id", uid if type(uid) is str else None)
    return PlaceBet(
        _key(pool, item),
        str(user["uid"]),
        user.get("ip"),
        str(pool["uid"]),
        currency,
        _minor(amount, currency, lambda: (*path, "bet", "amount")),
        amount,
        _readable_minor(pool.get("overdraw"), currency),
        None if betslip_id is None else str(betslip_id),
    )


def _settle_bet(pool: Any, item: Any, path: _Path) -> SettleBet:
    user, bet = item["user"], item["bet"]
    currency, pool_uid = bet["currency"], pool.get("uid")
    return SettleBet(
        _key(pool, item),
        str(user["uid"]),
        currency,
        _minor(str(bet["payout"]), currency, lambda: (*path, "bet", "payout")),
        bet.get("result"),
        _readable_minor(bet.get("amount"), currency),
        None if pool_uid is None else str(pool_uid),
    )


def _minor(text: str, currency: str, path: Callable[[], _Path]) -> int | None:
    """Minor units; None for an unknown currency, which is refused later as such and is no malformed body."""
    try:
        return money.parse_amount(text, currency)
    except money.UnknownCurrencyError:
        return None
    except money.AmountError as error:
        raise _invalid(path(), str(error)) from None


def _readable_minor(amount: str | int | None, currency: str) -> int | None:
    """Minor units of an informative amount; None where it cannot be read."""
    try:
        return None if amount is None else money.parse_amount(str(amount), currency)
    except money.MoneyError:
        return None


def _invalid(path: _Path, message: str) -> ValidationError:
    errors: Any = [message]
    for step in reversed(path):
        errors = {step: errors}
    return ValidationError(errors)
