"""The stream thread: what it sends to whom, from where on, and how streams end."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from wsproto.events import CloseConnection, Ping

from tests.betslips.streaming import Peer, money_in
from tests.desk import Desk
from tests.world import OK, bet, result
from wallet_hooks import clock
from wallet_hooks.betslips import stream
from wallet_hooks.betslips.customer_feed import CustomerStream, Feed
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.betslips.service import close_stale, prune
from wallet_hooks.betslips.stream import SESSION_ENDED, Streams
from wallet_hooks.customers.models import Customer
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import TryAgainError
from wallet_hooks.identity import login_sessions, tokens
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.ledger.rates import set_rate
from wallet_hooks.sportsbook.accounting import cost_of_open_stakes

Open = Callable[..., Peer]
OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def streams(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    monkeypatch.setattr(stream, "_POLL_INTERVAL", 0.02)
    monkeypatch.setattr(stream, "_SESSION_CHECK_INTERVAL", 0.05)
    idle = timedelta(seconds=desk.world.settings.session_idle)
    served = Streams(Feed(desk.world.engine, idle, cost_of_open_stakes), most=30)
    yield served
    served.stop()


@pytest.fixture
def open_stream(desk: Desk, streams: Streams) -> Iterator[Open]:
    """Return a function that opens a stream of a customer, after a number."""
    peers = []

    def open_one(username: str = "ann", since: int | None = None, token: str | None = None) -> Peer:
        with reading(desk.world.engine) as session:
            customer_id = session.scalars(select(Customer.id).where(Customer.username == username)).one()
        ours, theirs = socket.socketpair()
        hash_ = tokens.token_hash(desk.token(username) if token is None else token)
        streams.serve(theirs, CustomerStream(1007, customer_id, hash_, since))
        peers.append(Peer(ours))
        return peers[-1]

    yield open_one
    for peer in peers:
        peer.socket.close()


def announced(name: str, username: str = "ann") -> list[Any]:
    return ["betslip", {"betslip_id": name, "customer_username": username}]


def closed(name: str) -> list[Any]:
    return ["betslip_closed", {"betslip_id": name, "close_reason": "timeout"}]


def send(desk: Desk, *messages: Any, ts: float | None = None) -> None:
    assert desk.world.repeat("/betslips/messages", {"ts": ts, "data": list(messages)}) == OK


def test_messages_are_sent_to_their_customer_as_they_were_sent(desk: Desk, open_stream: Open) -> None:
    ann, bob = open_stream("ann"), open_stream("bob")
    assert [money_in(peer.frame())[0] for peer in (ann, bob)] == [["EUR", 100.0], ["EUR", 100.0]]
    send(desk, announced("a"), announced("b", "bob"), ts=1477526400.123)
    send(desk, closed("a"), closed("b"))
    (first, second) = ann.frames(2)
    assert first == {"ts": 1477526400.123, "seq": 1, "data": [announced("a")]}
    assert (second["seq"], second["data"]) == (2, [closed("a")])
    assert [frame["data"] for frame in bob.frames(2)] == [[announced("b", "bob")], [closed("b")]]


def test_money_is_sent_when_it_moves(desk: Desk, open_stream: Open) -> None:
    ann = open_stream("ann")
    assert money_in(ann.frame()) == (["EUR", 100.0], ["EUR", 0.0])
    desk.world.place(bet("b1", "10.00"))
    assert money_in(ann.frame()) == (["EUR", 90.0], ["EUR", 10.0])
    desk.world.settle(result("b1", "15.50"))
    assert money_in(ann.frame()) == (["EUR", 105.5], ["EUR", 0.0])


def test_a_client_resumes_and_misses_nothing(desk: Desk, open_stream: Open) -> None:
    send(desk, announced("a"), ts=1)
    for _ in range(25):
        send(desk, *(closed("a") for _ in range(10)))
    later = open_stream("ann", since=None)
    assert money_in(later.frame())[0] == ["EUR", 100.0]
    for since in (0, 1, 99, 100, 250, 251):
        peer = open_stream("ann", since=since)
        *frames, last = peer.frames(251 - since + 1)
        assert [frame["seq"] for frame in frames] == list(range(since + 1, 252))
        assert money_in(last)[0] == ["EUR", 100.0], "the balance comes after all messages"
    beyond = open_stream("ann", since=10**15)
    assert beyond.frames(1)[0]["seq"] == 251
    send(desk, closed("a"))
    assert [peer.frames(1)[0]["seq"] for peer in (later, beyond)] == [252, 252]


def test_large_messages_are_read_a_few_at_a_time(desk: Desk) -> None:
    for _ in range(8):
        send(desk, ["betslip", {"betslip_id": "a", "customer_username": "ann", "more": "x" * 100_000}])
    with reading(desk.world.engine) as session:
        customer_id = session.scalars(select(Customer.id).where(Customer.username == "ann")).one()
    feed = Feed(desk.world.engine, timedelta(hours=1), cost_of_open_stakes)
    of_ann = CustomerStream(1007, customer_id, "", since=0)
    feed.begin([of_ann])
    pages = []
    for _ in range(4):
        frames = feed.next_frames([of_ann], now=clock.now()).get(of_ann, [])
        pages.append([json.loads(frame)["data"][0][0] for frame in frames])
    assert pages == [["betslip"] * 3, ["betslip"] * 3, ["betslip"] * 2 + ["balance"], []]


def test_messages_before_the_customer_is_known_are_sent_once_it_is(desk: Desk, open_stream: Open) -> None:
    ann = open_stream("ann")
    ann.frames(1)
    send(desk, closed("a"))
    send(desk, announced("a"))
    assert [(frame["seq"], frame["data"][0][0]) for frame in ann.frames(2)] == [(1, "betslip_closed"), (2, "betslip")]


def test_a_message_for_several_games_is_sent_once(desk: Desk, open_stream: Open) -> None:
    desk.world.provider(game="other", auth="none")
    ann = open_stream("ann", since=0)
    ann.frames(1)
    send(desk, announced("a"))
    send(desk, closed("a"))
    assert [frame["data"] for frame in ann.frames(2)] == [[announced("a")], [closed("a")]]
    assert desk.world.count("betslip_message") == 4


def test_numbers_have_no_gaps_under_concurrent_requests(desk: Desk, open_stream: Open) -> None:
    ann = open_stream("ann", since=0)
    ann.frames(1)

    def send_some(name: str) -> None:
        for number in range(10):
            send(desk, announced(f"{name}{number}"), closed(f"{name}{number}"))

    threads = [threading.Thread(target=send_some, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    frames = ann.frames(80)
    for thread in threads:
        thread.join()
    assert [frame["seq"] for frame in frames] == list(range(1, 81))
    orders = {
        name: [frame["data"][0][0] for frame in frames if frame["data"][0][1]["betslip_id"] == name]
        for name in ("a0", "d9")
    }
    assert set(map(tuple, orders.values())) == {("betslip", "betslip_closed")}


@pytest.mark.parametrize("how", ["logged out", "locked", "expired", "idle"])
def test_a_session_that_ends_closes_its_streams(desk: Desk, open_stream: Open, how: str) -> None:
    token = desk.token("ann")
    peer, other = open_stream("ann", token=token), open_stream("bob")
    peer.frames(1)
    with writing(desk.world.engine) as session:
        customer = session.scalars(select(Customer).where(Customer.username == "ann")).one()
        if how == "logged out":
            login_sessions.end(session, token, now=clock.now())
        elif how == "locked":
            customer.locked = True
        elif how == "expired":
            customer.expires_at = clock.now()
        else:
            login = session.get_one(LoginSession, tokens.token_hash(token))
            login.used_at -= timedelta(seconds=desk.world.settings.session_idle + 1)
    assert (peer.frame(), peer.close_code) == (None, SESSION_ENDED)
    assert money_in(other.frame())[0] == ["EUR", 100.0]
    send(desk, announced("b", "bob"))
    assert other.frames(1)[0]["data"] == [announced("b", "bob")]


def test_a_slow_reader_is_dropped_and_costs_the_others_nothing(
    desk: Desk, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_WRITE_TIMEOUT", 1.0)
    slow, quick = open_stream("ann"), open_stream("ann")
    quick.frames(1)
    large = ["betslip", {"betslip_id": "a", "customer_username": "ann", "more": "x" * 50_000}]
    for _ in range(4):
        send(desk, *[large] * 10)
    assert [frame["seq"] for frame in quick.frames(40)] == list(range(1, 41))
    threading.Event().wait(1.6)  # longer than the time-out, without reading
    frames = []
    while (frame := slow.frame()) is not None:
        frames.append(frame["seq"])
    assert slow.close_code == 1008
    assert frames == list(range(len(frames)))  # what arrived is whole and in order
    assert len(frames) < 11  # what had not been sent was discarded
    rest = open_stream("ann", since=frames[-1])
    assert [frame["seq"] for frame in rest.frames(40 - frames[-1])][-1] == 40


def test_silent_clients_are_closed_and_answering_ones_are_not(
    desk: Desk, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_IDLE_TIMEOUT", 3.0)
    monkeypatch.setattr(stream, "_PING_INTERVAL", 0.05)
    silent, answering = open_stream("ann"), open_stream("bob")
    silent.answers_pings = False
    assert silent.frame() is not None
    answering.frames(1)
    listening = threading.Thread(target=answering.frame)
    listening.start()
    assert (silent.frame(), silent.close_code) == (None, 1008)
    threading.Event().wait(1.0)
    send(desk, announced("b", "bob"))
    listening.join()
    assert answering.close_code is None


def test_a_client_that_closes_is_answered(desk: Desk, open_stream: Open) -> None:
    peer = open_stream("ann")
    peer.frames(1)
    peer.send(Ping(payload=b"x"))
    peer.send(CloseConnection(code=1000))
    assert (peer.frame(), peer.close_code) == (None, 1000)
    assert peer.socket.recv(1) == b""


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x81\x01x", b"\xff" * 20])
def test_a_client_that_breaks_the_protocol_is_closed(desk: Desk, open_stream: Open, sent: bytes) -> None:
    peer, other = open_stream("ann"), open_stream("ann")
    peer.frames(1)
    peer.socket.sendall(sent)
    assert (peer.frame(), peer.close_code) == (None, 1002)
    other.frames(1)
    send(desk, announced("a"))
    assert other.frames(1)[0]["seq"] == 1


def test_streams_are_bounded_and_close_when_the_process_ends(desk: Desk, streams: Streams, open_stream: Open) -> None:
    peers = [open_stream("ann") for _ in range(20)]
    assert all(peer.frame() for peer in peers)
    with pytest.raises(TryAgainError):
        streams.check_capacity(_customer_id(desk, "ann"))
    bob = _customer_id(desk, "bob")
    streams.check_capacity(bob)
    peers += [open_stream("bob") for _ in range(10)]
    with pytest.raises(TryAgainError):
        streams.check_capacity(bob)
    streams.stop()
    for peer in peers:
        while peer.frame() is not None:
            pass
    assert {peer.close_code for peer in peers} == {1001}


def test_no_stream_is_opened_where_the_setting_is_0(desk: Desk) -> None:
    none = Streams(Feed(desk.world.engine, timedelta(days=1), cost_of_open_stakes), most=0)
    with pytest.raises(TryAgainError):
        none.check_capacity(1)


def test_a_client_resumes_over_pruned_messages(desk: Desk, open_stream: Open) -> None:
    send(desk, announced("left"))
    send(desk, announced("gone"), *(closed("gone") for _ in range(150)))
    with writing(desk.world.engine) as session:
        session.execute(update(Betslip).where(Betslip.betslip_id == "gone").values(changed_at=OLD))
        assert prune(session, 10, now=clock.now(), retention_days=30) == 1
    send(desk, closed("left"))
    for since, expected in ((0, [1, 153]), (1, [153]), (50, [153]), (152, [153])):
        frames = open_stream("ann", since=since).frames(len(expected))
        assert [frame["seq"] for frame in frames] == expected


def test_a_stale_betslip_of_several_games_is_closed_once_for_its_customer(desk: Desk, open_stream: Open) -> None:
    desk.world.provider(game="other", auth="none")
    send(desk, announced("a"))
    ann = open_stream("ann", since=1)
    ann.frames(1)
    with writing(desk.world.engine) as session:
        session.execute(update(Betslip).values(changed_at=OLD))
        assert close_stale(session, 10, now=clock.now(), retention_days=30) == 2
    send(desk, announced("b"))
    assert [frame["data"][0][1]["betslip_id"] for frame in ann.frames(2)] == ["a", "b"]


def test_streams_go_on_when_a_game_is_added(desk: Desk, open_stream: Open) -> None:
    ann = open_stream("ann", since=0)
    ann.frames(1)
    send(desk, announced("a"))
    desk.world.provider(game="another", auth="none")
    send(desk, closed("a"))
    assert [frame["data"] for frame in ann.frames(2)] == [[announced("a")], [closed("a")]]


def test_streams_go_on_after_an_outage_of_the_database(
    desk: Desk, open_stream: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, is_lost = Feed.next_frames, threading.Event()

    def fail_while_lost(self: Feed, *arguments: Any, **named: Any) -> Any:
        if is_lost.is_set():
            raise OperationalError("SELECT", None, Exception("lost"))
        return read(self, *arguments, **named)

    monkeypatch.setattr(Feed, "next_frames", fail_while_lost)
    ann = open_stream("ann", since=0)
    ann.frames(1)
    is_lost.set()
    send(desk, announced("a"))
    threading.Event().wait(0.2)
    is_lost.clear()
    assert [frame["seq"] for frame in ann.frames(1)] == [1]


def test_open_stakes_in_other_currencies_count_at_their_cost(desk: Desk, open_stream: Open) -> None:
    with writing(desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.25", now=clock.now())
    desk.world.place(bet("b1", "10.00", currency="GBP"))
    assert money_in(open_stream("ann").frame()) == (["EUR", 87.5], ["EUR", 12.5])


def _customer_id(desk: Desk, username: str) -> int:
    with reading(desk.world.engine) as session:
        return session.scalars(select(Customer.id).where(Customer.username == username)).one()
