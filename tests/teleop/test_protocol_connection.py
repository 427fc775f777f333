"""The sans-I/O server and client: order, limits, and what malformed input does to them."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from teleop.intents import Intent
from teleop.protocol import (
    ClaimAsked,
    ClientConnection,
    ClientPing,
    Event,
    Hello,
    HelloReceived,
    IntentAsked,
    Limits,
    LimitsInfo,
    Phase,
    RigInfo,
    RoundTrip,
    ServerConnection,
    ServerPong,
    TrackingReceived,
    Welcome,
    empty_frame,
    encode_message,
    encode_tracking,
)

S = 1_000_000_000
HELLO = Hello(client="synthetic", token="t", device="test", video=("*",))
WELCOME = Welcome(
    session_id="s",
    role="operator",
    rig=RigInfo(name="r", joint_names=("a",), gripper_names=(), tips={}),
    streams=(),
    control_rate_hz=200,
    server_time_ns=0,
    limits=LimitsInfo(max_message_bytes=65536, max_messages_per_s=600),
)


def opened(limits: Limits | None = None) -> ServerConnection:
    connection = ServerConnection(0, limits or Limits())
    connection.receive_text(encode_message(HELLO), 0)
    connection.accept(WELCOME)
    connection.events_received()
    connection.data_to_send()
    return connection


def tracking(seq: int, presence: int = 7) -> bytes:
    frame = empty_frame()
    frame["seq"], frame["presence"] = seq, presence
    return encode_tracking(frame)


def test_hello_comes_first_and_is_answered_by_welcome() -> None:
    connection = ServerConnection(0)
    connection.receive_text(encode_message(HELLO), 1)
    assert connection.events_received() == [HelloReceived(HELLO)]
    assert connection.phase is Phase.DECIDING
    connection.accept(WELCOME)
    assert json.loads(connection.data_to_send()[0])["type"] == "welcome"


@pytest.mark.parametrize("text", ['{"type":"claim"}', '{"type":"pong","id":1,"t_device_ns":2}'])
def test_anything_before_hello_closes(text: str) -> None:
    connection = ServerConnection(0)
    connection.receive_text(text, 1)
    assert connection.close_code == 4400
    assert connection.events_received() == []


def test_tracking_before_welcome_closes() -> None:
    connection = ServerConnection(0)
    connection.receive_text(encode_message(HELLO), 1)
    connection.receive_bytes(tracking(1), 2)
    assert connection.close_code == 4400


def test_silence_closes_after_five_seconds() -> None:
    connection = ServerConnection(0)
    connection.tick(5 * S)
    assert connection.close_code is None
    connection.tick(5 * S + 1)
    assert connection.close_code == 4408


def test_a_second_hello_closes() -> None:
    connection = opened()
    connection.receive_text(encode_message(HELLO), 1)
    assert connection.close_code == 4400


def test_after_closing_nothing_is_heard_and_the_reason_was_said() -> None:
    connection = opened()
    connection.receive_text("{", 1)
    assert connection.phase is Phase.CLOSED
    said = json.loads(connection.data_to_send()[-1])
    assert (said["type"], said["code"]) == ("error", 4400)
    connection.receive_text('{"type":"claim"}', 2)
    connection.receive_bytes(tracking(1), 2)
    assert connection.events_received() == []
    assert connection.data_to_send() == []


def test_close_reason_fits_a_close_frame() -> None:
    connection = opened()
    connection.refuse(4400, "ü" * 300)
    assert len(connection.close_reason.encode()) <= 123


def test_replayed_and_out_of_order_tracking_is_dropped_and_counted() -> None:
    connection = opened()
    for seq in (5, 5, 3, 6, 0, 7):
        connection.receive_bytes(tracking(seq), seq)
    heard = [int(e.frame["seq"]) for e in connection.events_received()]  # type: ignore[union-attr]
    assert heard == [5, 6, 7]
    assert connection.counters.out_of_order == 3
    assert connection.close_code is None


def test_invalid_poses_are_counted_not_fatal() -> None:
    connection = opened()
    frame = empty_frame()
    frame["seq"], frame["presence"], frame["head_flags"] = 1, 1, 15
    frame["head"] = np.nan
    connection.receive_bytes(encode_tracking(frame), 1)
    (event,) = connection.events_received()
    assert isinstance(event, TrackingReceived)
    assert event.frame["head_flags"] == 0
    assert connection.counters.invalid_poses == 1


def test_the_rate_limit_lets_a_headset_through_and_stops_a_flood() -> None:
    connection = opened()
    for k in range(3000):  # 250 messages a second for 12 s
        connection.receive_bytes(tracking(k + 1), k * S // 250)
    assert connection.close_code is None
    now_ns = 13 * S
    for k in range(10_000):
        connection.receive_bytes(tracking(10_000 + k), now_ns)
    assert connection.close_code == 4429


@pytest.mark.parametrize("text", [True, False])
def test_a_message_above_the_size_limit_closes(text: bool) -> None:
    connection = opened(Limits(max_message_bytes=1000))
    if text:
        connection.receive_text("x" * 1001, 1)
    else:
        connection.receive_bytes(bytes(1001), 1)
    assert connection.close_code == 4413


def test_a_ping_is_answered_with_the_host_clock() -> None:
    connection = opened()
    connection.receive_text(encode_message(ClientPing(id=7, t_device_ns=11)), 99)
    assert connection.data_to_send() == [
        encode_message(ServerPong(id=7, t_device_ns=11, t_server_ns=99))
    ]


def test_a_round_trip_is_measured_between_client_and_server() -> None:
    server, client = opened(), ClientConnection(HELLO)
    client.data_to_send()
    server.ping(100)
    for text in server.data_to_send():
        assert isinstance(text, str)
        client.receive_text(text, t_device_ns=5_000)
    for text in client.data_to_send():
        assert isinstance(text, str)
        server.receive_text(text, 130)
    assert server.events_received() == [RoundTrip(100, 5_000, 130)]


def test_a_pong_nobody_asked_for_is_counted_and_ignored() -> None:
    connection = opened()
    connection.receive_text('{"type":"pong","id":12345,"t_device_ns":1}', 1)
    assert connection.events_received() == []
    assert connection.counters.unmatched_pongs == 1


def test_unanswered_pings_do_not_pile_up() -> None:
    connection = opened()
    for k in range(1000):
        connection.ping(k)
    assert len(connection._pings) <= 16


def test_unknown_fields_are_ignored_unknown_types_are_not() -> None:
    connection = opened()
    connection.receive_text('{"type":"claim","colour":"red"}', 1)
    assert connection.events_received() == [ClaimAsked()]
    connection.receive_text('{"type":"clam"}', 1)
    assert connection.close_code == 4400


def test_intents_carry_checked_arguments() -> None:
    connection = opened()
    connection.receive_text('{"type":"event","name":"save","args":{"outcome":"success"}}', 1)
    (event,) = connection.events_received()
    assert isinstance(event, IntentAsked)
    assert (event.intent, event.args.outcome) == (Intent.SAVE, "success")
    connection.receive_text('{"type":"event","name":"save","args":{"outcome":"maybe"}}', 1)
    assert connection.close_code == 4400


MESSAGES = [
    encode_message(HELLO).encode(),
    encode_message(Event(name=Intent.ESTOP)).encode(),
    b'{"type":"claim"}',
    b'{"type":"release"}',
    b'{"type":"ping","id":1,"t_device_ns":2}',
    b'{"type":"pong","id":1,"t_device_ns":2}',
    b'{"type":"video_ack","stream":"head_left","seq":3}',
    tracking(2**31),
    tracking(2**31 + 1, 31),
    tracking(2**31 + 2, 0),
]


def mutated(rng: random.Random) -> bytes:
    data = bytearray(rng.choice(MESSAGES))
    match rng.randrange(5):
        case 0:
            data = bytearray(rng.randbytes(rng.randrange(200)))
        case 1 if data:
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            del data[rng.randrange(len(data) + 1) :]
        case 3:
            data += rng.randbytes(rng.randrange(50))
        case _:
            start = rng.randrange(len(data) + 1)
            data[start:start] = data[: rng.randrange(len(data) + 1)]
    return bytes(data)


def test_ten_thousand_mutated_messages_never_raise_and_never_corrupt_the_connection() -> None:
    rng = random.Random(7)
    connection, now_ns = opened(), 0
    seqs: list[int] = []
    for _ in range(10_000):
        now_ns += S // 500
        data = mutated(rng)
        if rng.random() < 0.5:
            connection.receive_bytes(data, now_ns)
        else:
            connection.receive_text(data.decode("utf-8", "surrogateescape"), now_ns)
        events = connection.events_received()
        seqs += [int(e.frame["seq"]) for e in events if isinstance(e, TrackingReceived)]
        for sent in connection.data_to_send():
            assert isinstance(json.loads(sent), dict)
        if connection.close_code is not None:
            assert connection.close_code in (4400, 4413)
            assert connection.phase is Phase.CLOSED
            connection, seqs = opened(), []
            connection._bucket.now_ns = now_ns
        assert seqs == sorted(set(seqs))
