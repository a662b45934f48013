"""The path of a group of callbacks: load the state, decide each in turn, save the changes."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from wallet_hooks import clock
from wallet_hooks.database.bulk import run
from wallet_hooks.deliveries.queries import STORED_ANSWERS
from wallet_hooks.sportsbook.cancelling import cancel
from wallet_hooks.sportsbook.loading import Locate, ReadClock, load_state, no_country
from wallet_hooks.sportsbook.messages import (
    Accepted,
    Answer,
    Callback,
    CancelBets,
    Failed,
    Outcome,
    PlaceBets,
    ProviderRequest,
    SettleBets,
    answer_of,
    stored_answer,
)
from wallet_hooks.sportsbook.placing import place
from wallet_hooks.sportsbook.saving import save
from wallet_hooks.sportsbook.settling import settle
from wallet_hooks.sportsbook.state import BettingState, StateOf


def process_batch(
    connection: Connection,
    callbacks: Sequence[Callback],
    *,
    read_clock: ReadClock,
    locate: Locate = no_country,
    wait: bool = True,
) -> list[Answer | None]:
    """Decide and write a group of callbacks, in the order in which they arrived.

    The answers are stored in the same transaction, which the caller commits before it gives them. `locate`
    turns an address into its country. Without `wait`, a callback with a customer that another transaction has
    locked is left out, and its answer is None: the others do not wait for it.
    """
    requests = [callback.request for callback in callbacks]
    state = load_state(connection, requests, callbacks[-1].brands, read_clock=read_clock, locate=locate, wait=wait)
    answers = [decide(callback, lambda _: state) for callback in callbacks]
    save(connection, state, answered(callbacks, answers))
    return answers


def find_answers(connection: Connection, callbacks: Sequence[Callback]) -> list[Answer | None]:
    """Return the answer to each callback that is stored, which means that its work was committed; None for others."""
    rows = run(connection, STORED_ANSWERS([(callback.id,) for callback in callbacks]))
    stored = {row.id: stored_answer(row.status, row.answer) for row in rows}
    return [stored.get(callback.id) for callback in callbacks]


def decide(callback: Callback, state_of: StateOf) -> Answer | None:
    """Return the answer to a callback; None if a customer of it is unavailable."""
    request = callback.request
    states = {id(state): state for state in (state_of(bet.key.client) for bet in request.bets)}.values()
    for state in states:
        if state.unavailable and _names_any(request, state):
            return None
        state.delivery_id = callback.id
    return answer_of(_outcome(request, state_of))


def answered(callbacks: Sequence[Callback], answers: Sequence[Answer | None]) -> list[tuple[Callback, Answer, int]]:
    """Return the callbacks that have an answer, each with it and its duration in microseconds."""
    finished = clock.monotonic()
    return [
        (callback, answer, int((finished - callback.started) * 1_000_000))
        for callback, answer in zip(callbacks, answers, strict=True)
        if answer is not None
    ]


def _names_any(request: ProviderRequest, state: BettingState) -> bool:
    """Return whether a bet of the request is of an unavailable customer."""
    return any(
        (state.brands[bet.key.client].id, bet.user_uid) in state.unavailable
        for bet in request.bets
        if bet.key.client in state.brands
    )


def _outcome(request: ProviderRequest, state_of: StateOf) -> Outcome:
    if isinstance(request, PlaceBets):
        return place(request, state_of)
    if isinstance(request, SettleBets):
        return _each((bet.key.uid, settle(bet, state_of(bet.key.client))) for bet in request.bets)
    if isinstance(request, CancelBets):
        return _each((bet.key.uid, cancel(bet, state_of(bet.key.client))) for bet in request.bets)
    return request


def _each(results: Iterable[tuple[str, str | None]]) -> Accepted | Failed:
    failed = tuple((uid, code) for uid, code in results if code is not None)
    return Failed(failed) if failed else Accepted()
