"""Publish/subscribe between the processes of one host, over iceoryx2 shared memory.

A topic is a name plus a NumPy structured dtype, or raw bytes. Every message starts with a header
(who sent it, sequence number, publish time), so a reader sees what it lost:

- Queues drop the oldest message when they are full; `Subscriber.drain` counts the gap.
- A publisher that dies and comes back has a new epoch: its numbers start again, which is no loss.
- Nothing is replayed to a late joiner. State topics are published at a rate anyway, and an old
  command or request must never be executed by a process that has just been restarted.

- A reader meets a new publisher when it next reads. What a publisher sent is kept for the readers
  it has met, even if it is killed; if it leaves before they read at all, nobody knows of it.

Publishers and subscribers of one topic come and go in any order, and SIGKILL of any of them leaves
nothing behind: the next `Bus` of the host removes what dead processes held.
"""

from __future__ import annotations

import re
import secrets
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import iceoryx2 as iox2
import numpy as np

from teleop.services import (
    BYTES_QUEUE,
    DEFAULT_MAX_BYTES,
    ROW_QUEUE,
    BusError,
    create,
    events,
    join,
    pubsub,
    queue_limit,
    schema_of,
)
from teleop.timer import TimerFd

__all__ = [
    "BYTES_QUEUE",
    "ROW_QUEUE",
    "Bus",
    "BusError",
    "Message",
    "Publisher",
    "Subscriber",
    "Waiter",
    "schema_of",
]

HEADER = struct.Struct("<IIQqq")
"""Head of every message, little-endian: u32 checksum of the dtype, so that two builds never misread
each other; u32 epoch, random per publisher; u64 sequence number from 0, per publisher; i64 publish
time; i64 time at which the publisher joined (readers older than that expect its number 0)."""
_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")

Row = np.ndarray[Any, np.dtype[np.void]] | np.void


class Message(NamedTuple):
    """One received message.

    Attributes:
        seq: Sequence number given by its publisher, from 0.
        t_publish_ns: When it was sent, host monotonic [ns].
        data: One row (`np.void`) of the topic's dtype, or bytes; a copy, owned by the reader.
    """

    seq: int
    t_publish_ns: int
    data: Any


class Publisher:
    """Sends one topic. Made by `Bus.publisher`.

    Attributes:
        topic: Topic name.
        sent: Messages sent so far, also the next sequence number.
    """

    def __init__(
        self, node: Any, topic: str, service_name: str, dtype: np.dtype[Any] | None, max_bytes: int
    ) -> None:
        self.topic = topic
        self.sent = 0
        self._dtype = dtype
        self._max_bytes = max_bytes
        self._schema = schema_of(dtype)
        self._epoch = secrets.randbits(32)
        self._t_join_ns = time.monotonic_ns()
        size = HEADER.size + max_bytes
        service = join(pubsub(node, service_name, dtype), topic)
        self._port = create(
            service.publisher_builder()
            .initial_max_slice_len(size)
            .backpressure_strategy(iox2.BackpressureStrategy.DiscardData),
            topic,
        )
        wake = join(events(node, service_name), topic)
        self._notifier = create(wake.notifier_builder(), topic)

    def send(self, data: Row | bytes | bytearray | memoryview) -> int:
        """Send one row of the topic's dtype, or bytes; returns its sequence number.

        Raises:
            BusError: The dtype is not the topic's, or the bytes are longer than `max_bytes`.
        """
        payload = self._payload(data)
        seq = self.sent
        sample = self._port.loan_slice_uninit(HEADER.size + len(payload))
        view = sample.payload().as_memory_view().cast("B")
        HEADER.pack_into(
            view, 0, self._schema, self._epoch, seq, time.monotonic_ns(), self._t_join_ns
        )
        view[HEADER.size :] = payload
        sample.assume_init().send()
        self.sent = seq + 1
        self._notifier.notify()
        return seq

    def _payload(self, data: Row | bytes | bytearray | memoryview) -> bytes | memoryview:
        if self._dtype is None:
            if isinstance(data, (np.ndarray, np.void)):
                raise BusError(f"topic {self.topic!r} carries bytes, got an array")
            payload = memoryview(data).cast("B")
            if len(payload) > self._max_bytes:
                raise BusError(
                    f"topic {self.topic!r} takes at most {self._max_bytes} bytes, "
                    f"got {len(payload)}"
                )
            return payload
        if not isinstance(data, (np.ndarray, np.void)) or data.dtype != self._dtype:
            got = getattr(data, "dtype", type(data).__name__)
            raise BusError(f"topic {self.topic!r} carries rows of {self._dtype}, got {got}")
        if data.size != 1:
            raise BusError(f"topic {self.topic!r} takes one row a message, got {data.size}")
        return data.tobytes()

    def close(self) -> None:
        """Leave the topic; messages already delivered stay readable."""
        self._port.delete()
        self._notifier.delete()


class Subscriber:
    """Reads one topic. Made by `Bus.subscriber`; use it from one thread at a time.

    Attributes:
        topic: Topic name.
        dropped: Messages lost to a full queue, counted by sequence gaps in `drain`. What a late
            joiner lost before its first read cannot be told from what was sent before it came.
        last: Newest message ever received, or None.
    """

    def __init__(
        self, node: Any, topic: str, service_name: str, dtype: np.dtype[Any] | None, depth: int
    ) -> None:
        limit = queue_limit(dtype)
        if not 1 <= depth <= limit:
            raise BusError(f"topic {topic!r}: depth must be 1 to {limit}, got {depth}")
        self.topic = topic
        self.dropped = 0
        self.last: Message | None = None
        self._dtype = dtype
        self._schema = schema_of(dtype)
        self._next: dict[int, int] = {}  # epoch → sequence number expected next
        self._t_join_ns = 0
        service = join(pubsub(node, service_name, dtype), topic)
        self._port = create(service.subscriber_builder().buffer_size(depth), topic)
        self._events = join(events(node, service_name), topic)
        self._t_join_ns = time.monotonic_ns()

    def latest(self) -> Any | None:
        """The newest row or bytes not seen before, None when nothing new came.

        Older messages are thrown away on purpose and not counted as dropped. `last` keeps the
        newest one for readers that want the same value again.
        """
        newest = self._port.receive()
        if newest is None:
            return None
        while (sample := self._port.receive()) is not None:
            newest.delete()
            newest = sample
        self.last = self._decode(newest, count_gaps=False)
        return self.last.data

    def drain(self, limit: int | None = None) -> list[Message]:
        """Everything received since the last call, oldest first; at most `limit` messages."""
        messages: list[Message] = []
        while limit is None or len(messages) < limit:
            sample = self._port.receive()
            if sample is None:
                break
            messages.append(self._decode(sample, count_gaps=True))
        if messages:
            self.last = messages[-1]
        return messages

    def has_messages(self) -> bool:
        """Whether the queue holds anything; costs about a microsecond."""
        return bool(self._port.has_samples())

    def listener(self) -> Any:
        """A new iceoryx2 listener of this topic, for `Waiter`."""
        return create(self._events.listener_builder(), self.topic)

    def _decode(self, sample: Any, *, count_gaps: bool) -> Message:
        view = sample.payload().as_memory_view().cast("B")
        schema, epoch, seq, t_publish_ns, t_epoch_ns = HEADER.unpack_from(view)
        body = bytes(view[HEADER.size :]) if self._dtype is None else bytearray(view[HEADER.size :])
        sample.delete()
        if schema != self._schema:
            raise BusError(
                f"topic {self.topic!r} is published with another layout than {self._dtype}; "
                f"all processes of one system must be of one version and one rig"
            )
        expected = self._next.get(epoch, 0 if t_epoch_ns > self._t_join_ns else seq)
        if count_gaps:
            self.dropped += max(0, seq - expected)
        self._next[epoch] = seq + 1
        data = body if self._dtype is None else np.frombuffer(body, self._dtype, count=1)[0]
        return Message(seq, t_publish_ns, data)

    def close(self) -> None:
        """Leave the topic."""
        self._port.delete()


class Waiter:
    """Sleeps until one of several topics gets a message. Made by `Bus.waiter`.

    Blocking releases the GIL, so a thread may wait on behalf of an event loop.
    """

    def __init__(self, subscribers: Sequence[Subscriber]) -> None:
        if not subscribers:
            raise BusError("a waiter needs at least one subscriber")
        self._listeners = [s.listener() for s in subscribers]
        self._subscribers = list(subscribers)
        self._timer = TimerFd()
        self._set = (
            iox2.WaitSetBuilder.new()
            .signal_handling_mode(iox2.SignalHandlingMode.Disabled)
            .create(iox2.ServiceType.Ipc)
        )
        self._guards = [self._set.attach_notification(x) for x in self._listeners]
        self._timer_fd = iox2.FileDescriptor.non_owning_new(self._timer.fd)
        self._guards.append(self._set.attach_notification_fd(self._timer_fd))

    def wait(self, timeout_ns: int) -> bool:
        """Sleep until a message arrives, `timeout_ns` has passed, or a signal was handled.

        The timeout is a timer descriptor in the same wait set, hence exact to tens of
        microseconds; the wait set's own timeout is rounded up to whole milliseconds.

        Returns:
            True when at least one of the subscribers has a message.
        """
        if self._ready():
            return True
        if timeout_ns > 0:
            self._timer.arm(timeout_ns)
            self._set.wait_and_process_with_timeout(
                iox2.Duration.from_nanos(timeout_ns + 100_000_000)
            )
            self._timer.clear()
            for listener in self._listeners:
                listener.try_wait()
        return self._ready()

    def _ready(self) -> bool:
        return any(s.has_messages() for s in self._subscribers)

    def close(self) -> None:
        """Release listeners and the timer."""
        self._guards.clear()
        self._set.delete()
        for listener in self._listeners:
            listener.delete()
        self._timer.close()


class Bus:
    """The bus of one process: opens topics of one system.

    Args:
        instance: Name of the system; topics of different instances never meet.

    Raises:
        BusError: The name holds characters other than letters, digits, `_`, `.` and `-`.
    """

    def __init__(self, instance: str) -> None:
        if not _NAME.fullmatch(instance):
            raise BusError(f"bus instance {instance!r}: use letters, digits, '_', '.', '-'")
        iox2.set_log_level(iox2.LogLevel.Error)
        self.instance = instance
        self._node = (
            iox2.NodeBuilder.new()
            .signal_handling_mode(iox2.SignalHandlingMode.Disabled)
            .create(iox2.ServiceType.Ipc)
        )
        self._node.try_cleanup_dead_nodes()
        self._ports: list[Publisher | Subscriber | Waiter] = []

    def publisher(
        self, topic: str, dtype: np.dtype[Any] | None, max_bytes: int | None = None
    ) -> Publisher:
        """Open `topic` for sending.

        Args:
            topic: Topic name, for example `robot/state`.
            dtype: Structured dtype of a row, or None for bytes of variable length.
            max_bytes: Longest message of a bytes topic; 64 KiB when not given.
        """
        size = dtype.itemsize if dtype is not None else (max_bytes or DEFAULT_MAX_BYTES)
        port = Publisher(self._node, topic, self._name(topic), dtype, size)
        self._ports.append(port)
        return port

    def subscriber(
        self, topic: str, dtype: np.dtype[Any] | None, depth: int | None = None
    ) -> Subscriber:
        """Open `topic` for reading; `depth` messages are kept, the oldest is dropped first.

        The default depth is 64. It may be up to 5120 for rows and 320 for bytes.
        """
        port = Subscriber(
            self._node, topic, self._name(topic), dtype, 64 if depth is None else depth
        )
        self._ports.append(port)
        return port

    def waiter(self, subscribers: Sequence[Subscriber]) -> Waiter:
        """Something to sleep on until one of `subscribers` has a message."""
        waiter = Waiter(subscribers)
        self._ports.append(waiter)
        return waiter

    def _name(self, topic: str) -> str:
        if not _NAME.fullmatch(topic):
            raise BusError(f"topic {topic!r}: use names of letters, digits, '_', '.', '-' and '/'")
        return f"telecap/{self.instance}/{topic}"

    def close(self) -> None:
        """Close every port opened here. Closing twice is allowed."""
        for port in reversed(self._ports):
            port.close()
        self._ports.clear()
        self._node = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
