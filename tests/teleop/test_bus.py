"""The bus: what arrives, what is lost and counted, and what survives a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from teleop.bus import BYTES_QUEUE, ROW_QUEUE, Bus, BusError, Publisher, Subscriber, schema_of

ROW = np.dtype([("t_ns", np.int64), ("value", np.float64, (3,))])


def row(value: float) -> np.ndarray:
    out = np.zeros((), ROW)
    out["value"] = value
    return out


def value_of(message: object) -> float:
    return float(message["value"][0])  # type: ignore[index]


@pytest.fixture
def bus() -> Iterator[Bus]:
    with Bus(f"test-{uuid.uuid4().hex[:12]}") as opened:
        yield opened


def pair(bus: Bus, depth: int = 64) -> tuple[Publisher, Subscriber]:
    subscriber = bus.subscriber("a/b", ROW, depth)  # first, so that every loss can be counted
    return bus.publisher("a/b", ROW), subscriber


def test_rows_arrive_in_order_with_sequence_and_publish_time(bus: Bus) -> None:
    publisher, subscriber = pair(bus)
    before = time.monotonic_ns()
    for k in range(5):
        assert publisher.send(row(k)) == k
    messages = subscriber.drain()
    assert [m.seq for m in messages] == [0, 1, 2, 3, 4]
    assert [value_of(m.data) for m in messages] == [0, 1, 2, 3, 4]
    assert before <= messages[0].t_publish_ns <= messages[-1].t_publish_ns <= time.monotonic_ns()
    assert subscriber.drain() == []


def test_received_row_is_the_readers_own_copy(bus: Bus) -> None:
    publisher, subscriber = pair(bus)
    publisher.send(row(1))
    first = subscriber.latest()
    assert first is not None
    first["value"] = 7.0
    publisher.send(row(2))
    assert value_of(subscriber.latest()) == 2
    assert value_of(first) == 7


def test_overflow_keeps_the_newest_and_counts_the_lost(bus: Bus) -> None:
    publisher, subscriber = pair(bus, depth=4)
    for k in range(10):
        publisher.send(row(k))
    assert [m.seq for m in subscriber.drain()] == [6, 7, 8, 9]
    assert subscriber.dropped == 6
    for k in range(3):
        publisher.send(row(k))
    assert len(subscriber.drain()) == 3
    assert subscriber.dropped == 6


def test_latest_returns_the_newest_once_and_counts_no_drop(bus: Bus) -> None:
    publisher, subscriber = pair(bus, depth=4)
    assert subscriber.latest() is None
    for k in range(10):
        publisher.send(row(k))
    assert value_of(subscriber.latest()) == 9
    assert subscriber.latest() is None
    assert subscriber.last is not None
    assert value_of(subscriber.last.data) == 9
    publisher.send(row(10))
    assert len(subscriber.drain()) == 1
    assert subscriber.dropped == 0


def test_drain_limit_leaves_the_rest(bus: Bus) -> None:
    publisher, subscriber = pair(bus)
    for k in range(5):
        publisher.send(row(k))
    assert [m.seq for m in subscriber.drain(limit=2)] == [0, 1]
    assert [m.seq for m in subscriber.drain()] == [2, 3, 4]


def test_late_joiner_sees_nothing_old_and_counts_nothing_lost(bus: Bus) -> None:
    publisher = bus.publisher("a/b", ROW)
    for k in range(3):
        publisher.send(row(k))
    subscriber = bus.subscriber("a/b", ROW)
    assert subscriber.latest() is None
    publisher.send(row(3))
    assert [m.seq for m in subscriber.drain()] == [3]
    assert subscriber.dropped == 0


def test_restarted_publisher_is_not_a_drop(bus: Bus) -> None:
    publisher, subscriber = pair(bus)
    assert subscriber.latest() is None  # meets the publisher
    for k in range(5):
        publisher.send(row(k))
    publisher.close()
    again = bus.publisher("a/b", ROW)
    again.send(row(9))
    assert [m.seq for m in subscriber.drain()] == [0, 1, 2, 3, 4, 0]
    assert subscriber.dropped == 0


def test_every_subscriber_gets_every_message(bus: Bus) -> None:
    publisher = bus.publisher("a/b", ROW)
    readers = [bus.subscriber("a/b", ROW) for _ in range(8)]
    publisher.send(row(3))
    assert [value_of(reader.latest()) for reader in readers] == [3.0] * 8


def test_several_publishers_are_counted_apart(bus: Bus) -> None:
    first, subscriber = pair(bus)
    second = bus.publisher("a/b", ROW)
    for _ in range(3):
        first.send(row(1))
        second.send(row(2))
    assert len(subscriber.drain()) == 6
    assert subscriber.dropped == 0


@pytest.mark.parametrize("size", [0, 1, 1000, 2_000_000])
def test_bytes_keep_their_length(bus: Bus, size: int) -> None:
    publisher = bus.publisher("camera/x", None, max_bytes=2_000_000)
    subscriber = bus.subscriber("camera/x", None)
    payload = os.urandom(size)
    publisher.send(payload)
    assert subscriber.latest() == payload


def test_misuse_is_refused_with_a_reason(bus: Bus) -> None:
    raw = bus.publisher("raw", None, max_bytes=8)
    rows = bus.publisher("rows", ROW)
    with pytest.raises(BusError, match="at most 8 bytes, got 9"):
        raw.send(b"123456789")
    with pytest.raises(BusError, match="carries bytes"):
        raw.send(row(1))
    with pytest.raises(BusError, match="carries rows"):
        rows.send(np.zeros((), np.dtype([("x", np.int64)])))
    with pytest.raises(BusError, match="one row"):
        rows.send(np.zeros(2, ROW))
    with pytest.raises(BusError, match="depth"):
        bus.subscriber("rows", ROW, ROW_QUEUE + 1)
    with pytest.raises(BusError, match="depth"):
        bus.subscriber("raw", None, BYTES_QUEUE + 1)
    with pytest.raises(BusError, match="topic"):
        bus.publisher("a b", ROW)
    with pytest.raises(BusError, match="instance"):
        Bus("no spaces")


def test_another_layout_of_the_same_topic_is_refused(bus: Bus) -> None:
    other = np.dtype([("t_ns", np.int64), ("value", np.float64, (2,))])
    assert schema_of(other) != schema_of(ROW)
    publisher = bus.publisher("a/b", other)
    subscriber = bus.subscriber("a/b", ROW)
    publisher.send(np.zeros((), other))
    with pytest.raises(BusError, match="another layout"):
        subscriber.drain()


def test_fifth_publisher_is_refused_with_the_limit(bus: Bus) -> None:
    for _ in range(4):
        bus.publisher("a/b", ROW)
    with pytest.raises(BusError, match="at most 4 publishers"):
        bus.publisher("a/b", ROW)


def test_instances_do_not_meet(bus: Bus) -> None:
    publisher = bus.publisher("a/b", ROW)
    with Bus(bus.instance + "x") as other:
        subscriber = other.subscriber("a/b", ROW)
        publisher.send(row(1))
        assert subscriber.latest() is None


def test_waiter_sees_a_message_sent_before_the_wait(bus: Bus) -> None:
    publisher, subscriber = pair(bus)
    waiter = bus.waiter([subscriber])
    publisher.send(row(1))
    assert waiter.wait(0)
    assert subscriber.latest() is not None
    assert not waiter.wait(0)


def test_waiter_times_out_without_a_message(bus: Bus) -> None:
    _, subscriber = pair(bus)
    waiter = bus.waiter([subscriber])
    started = time.monotonic_ns()
    assert not waiter.wait(2_000_000)
    assert time.monotonic_ns() - started >= 2_000_000


def test_waiter_wakes_for_any_of_its_topics(bus: Bus) -> None:
    first, second = bus.subscriber("one", ROW), bus.subscriber("two", ROW)
    publisher = bus.publisher("two", ROW)
    waiter = bus.waiter([first, second])
    thread = threading.Timer(0.02, lambda: publisher.send(row(1)))
    thread.start()
    assert waiter.wait(5_000_000_000)
    thread.join()
    assert first.latest() is None
    assert second.latest() is not None


def test_closing_twice_is_allowed() -> None:
    bus = Bus("close-twice")
    bus.subscriber("a", ROW)
    bus.close()
    bus.close()


_CHILD = """
import sys, time
import numpy as np
from teleop.bus import Bus
row = np.zeros((), np.dtype([("t_ns", np.int64), ("value", np.float64, (3,))]))
publisher = Bus(sys.argv[1]).publisher("a/b", row.dtype)
while True:
    publisher.send(row)
    time.sleep(0.001)
"""


def start_child(instance: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _CHILD, instance])


@pytest.mark.system
def test_killed_publishers_leave_nothing_behind_and_readers_go_on(bus: Bus) -> None:
    subscriber = bus.subscriber("a/b", ROW, ROW_QUEUE)
    waiter = bus.waiter([subscriber])
    for _ in range(6):  # more than the publishers a topic may have at once
        child = start_child(bus.instance)
        try:
            received = 0
            deadline = time.monotonic() + 20
            while received < 20 and time.monotonic() < deadline:
                waiter.wait(100_000_000)
                received += len(subscriber.drain())
            assert received >= 20
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        subscriber.drain()
    assert subscriber.dropped == 0
