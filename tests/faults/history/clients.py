"""Clients that mix the APIs: bets, settlements and cancels, payments, transfers, betslips, limits and reads."""

import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from tests.faults.history.operations import Attempt, HistoryOperation
from tests.faults.history.players import HistoryPlayer, Players
from tests.world import bet, refund, result

_TIMEOUT = 5.0  # seconds after which a client gives up waiting for an answer
_PAUSE = 0.05
_ATTEMPTS = 40  # of an operation that is not known to be done
_JSON = {"Content-Type": "application/json"}


class HistoryClient(threading.Thread):
    """Sends operations until `stop` is set, to the services in turn; `history` is what it sent and was answered.

    An operation that is not known to be done is sent again, to the next service. Every fourth client sends bets alone,
    so that slower calls do not hide for how long none were taken.
    """

    def __init__(self, urls: Sequence[str], players: Players, number: int) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.history: list[Attempt] = []
        self.stop = threading.Event()
        self._players = players
        self._number = number
        self._uids = count(number * 1_000_000)
        self._random = random.Random(number)
        self._addresses = [urlsplit(url).netloc for url in urls]
        self._turn = number

    def run(self) -> None:
        acts = [self._bet] * 3 + [self._read] * 2 + [self._bet_too_much]
        acts += [self._pay_in, self._pay_out, self._transfer, self._betslip, self._limits]
        if self._number % 4 == 0:
            acts = [self._bet]
        while not self.stop.is_set():
            self._random.choice(acts)(self._random.choice(self._players.customers))

    def _bet(self, player: HistoryPlayer) -> None:
        """Place a bet, and mostly settle or cancel it."""
        uid, stake = str(next(self._uids)), self._random.randint(1, 2000)
        wager = f"betflex:acme:wager:{uid}"
        placed = HistoryOperation("bet", player.uid, f"{wager}:stake", -stake)
        if not self._repeat(placed, "/bets", {"bets": [bet(uid, _decimal(stake), user=player.uid)]}):
            return
        kind = self._random.randint(0, 4)
        if kind == 0:
            cancelled = HistoryOperation("cancel", player.uid, f"{wager}:cancel", stake)
            pool = refund(uid, user=player.uid, amount=_decimal(stake))
            self._repeat(cancelled, "/bets/cancel", {"pools": [pool]})
        elif kind < 4:
            payout = self._random.randint(0, 3000)
            settled = HistoryOperation("settlement", player.uid, f"{wager}:settlement:1", payout)
            pool = result(uid, _decimal(payout), user=player.uid, stake=_decimal(stake), outcome="won")
            self._repeat(settled, "/winners", {"pools": [pool]})

    def _bet_too_much(self, player: HistoryPlayer) -> None:
        uid = str(next(self._uids))
        refused = HistoryOperation("bet", player.uid, f"betflex:acme:wager:{uid}:stake", refusal=402)
        self._repeat(refused, "/bets", {"bets": [bet(uid, "9000000.00", user=player.uid)]})

    def _pay_in(self, player: HistoryPlayer) -> None:
        self._pay(player, "deposit", 1)

    def _pay_out(self, player: HistoryPlayer) -> None:
        self._pay(player, "withdrawal", -1)

    def _pay(self, player: HistoryPlayer, kind: str, sign: int) -> None:
        amount, reference = self._random.randint(1, 1000), f"{self._number}-{next(self._uids)}"
        operation = HistoryOperation(kind, player.uid, f"cashier:acme:{kind}:{reference}", sign * amount)
        body = {"method": "card", "amount": ["EUR", amount / 100], "reference": reference}
        headers = {"Authorization": f"Bearer {self._players.cashier_token}", "Idempotency-Key": reference}
        self._repeat(operation, f"/v1/customers/{player.username}/{kind}s/", body, headers)

    def _transfer(self, player: HistoryPlayer) -> None:
        """Ask once: the account API has no key by which a transfer that is sent again would be the same."""
        body = {"from": "UK", "to": "AUSTRALIAN", "amount": 0.01}
        operation = HistoryOperation("transfer", player.uid, amount=-1)
        self._send(operation, "/exchange/account/rest/v1.0/transferFunds/", body, self._login(player))

    def _read(self, player: HistoryPlayer) -> None:
        path = "/exchange/account/rest/v1.0/getAccountFunds/"
        self._send(
            HistoryOperation("read", player.uid), path, {"wallet": "UK"}, self._login(player), reads_balance=True
        )

    def _betslip(self, player: HistoryPlayer) -> None:
        slip = ["betslip", {"betslip_id": f"h{next(self._uids)}", "customer_username": player.username, "sport": "fb"}]
        self._send(HistoryOperation("betslip", player.uid), "/betslips/messages", {"ts": time.time(), "data": [slip]})

    def _limits(self, player: HistoryPlayer) -> None:
        path = "/gateway/limits/v1/player/limits/1007"
        self._send(HistoryOperation("limits", player.uid), path, None, {"x-auth-token": player.token})

    def _login(self, player: HistoryPlayer) -> dict[str, str]:
        return {"X-Authentication": player.token, "X-Application": self._players.application_key}

    def _repeat(self, operation: HistoryOperation, path: str, body: Any, headers: dict[str, str] | None = None) -> bool:
        """Send an operation until its outcome is known; return whether it was acknowledged."""
        for _ in range(_ATTEMPTS):
            attempt = self._send(operation, path, body, headers or {})
            if not attempt.is_unknown:
                return attempt.is_acknowledged
            time.sleep(_PAUSE)
        return False

    def _send(
        self,
        operation: HistoryOperation,
        path: str,
        body: Any,
        headers: dict[str, str] | None = None,
        *,
        reads_balance: bool = False,
    ) -> Attempt:
        self._turn += 1
        connection = http.client.HTTPConnection(self._addresses[self._turn % len(self._addresses)], timeout=_TIMEOUT)
        began = time.monotonic()
        status, balance, is_accepted = None, None, False
        try:
            method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.connect()
            is_accepted = True
            connection.request(method, path, data, _JSON | (headers or {}))
            answer = connection.getresponse()
            text = answer.read()
            status = answer.status
            if reads_balance and status == 200:
                balance = int(Decimal(str(json.loads(text, parse_float=Decimal)["availableToBetBalance"])) * 100)
        except (OSError, http.client.HTTPException):
            pass  # no answer: the outcome is unknown
        finally:
            connection.close()
        attempt = Attempt(operation, began, time.monotonic(), status, balance, is_accepted and status is None)
        self.history.append(attempt)
        return attempt


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"
