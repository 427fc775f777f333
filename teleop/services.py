"""The iceoryx2 services behind the bus: one publish/subscribe and one event service a topic."""

from __future__ import annotations

import ctypes
import time
import zlib
from typing import Any

import iceoryx2 as iox2
import numpy as np

from teleop.errors import TeleopError

MAX_PUBLISHERS = 4
MAX_SUBSCRIBERS = 16
MAX_NODES = 32
ROW_QUEUE = 5120  # ten seconds of the fastest stream; sparse, memory is touched on use only
BYTES_QUEUE = 320  # ten seconds of pictures
DEFAULT_MAX_BYTES = 64 * 1024

_EVENT_PREFIX = "wake:"


class BusError(TeleopError):
    """A topic cannot be opened, or a message does not fit it."""


def schema_of(dtype: np.dtype[Any] | None) -> int:
    """Checksum of a dtype's layout, 0 for bytes."""
    return 0 if dtype is None else zlib.crc32(repr(dtype.descr).encode())


def queue_limit(dtype: np.dtype[Any] | None) -> int:
    """Longest queue a subscriber may ask for."""
    return BYTES_QUEUE if dtype is None else ROW_QUEUE


def pubsub(node: Any, name: str, dtype: np.dtype[Any] | None) -> Any:
    """Builder of the messages' service. Both ends must ask for the same limits."""
    return (
        node.service_builder(iox2.ServiceName.new(name))
        .publish_subscribe(iox2.Slice[ctypes.c_uint8])
        .max_publishers(MAX_PUBLISHERS)
        .max_subscribers(MAX_SUBSCRIBERS)
        .max_nodes(MAX_NODES)
        .subscriber_max_buffer_size(queue_limit(dtype))
        .history_size(0)
        .enable_safe_overflow(True)
    )


def events(node: Any, name: str) -> Any:
    """Builder of the service that wakes sleepers."""
    return (
        node.service_builder(iox2.ServiceName.new(_EVENT_PREFIX + name))
        .event()
        .max_notifiers(MAX_PUBLISHERS)
        .max_listeners(MAX_SUBSCRIBERS)
        .max_nodes(MAX_NODES)
    )


def join(builder: Any, topic: str) -> Any:
    """Open or create a service; two processes may do so at the same instant."""
    failure: Exception | None = None
    for _ in range(5):
        try:
            return builder.open_or_create()
        except (iox2.PublishSubscribeOpenOrCreateError, iox2.EventOpenOrCreateError) as error:
            failure = error
            time.sleep(0.02)
    raise BusError(f"cannot open topic {topic!r}: {failure}") from failure


def create(builder: Any, topic: str) -> Any:
    """Create a port of a service.

    Raises:
        BusError: The service has no place left.
    """
    try:
        return builder.create()
    except (
        iox2.PublisherCreateError,
        iox2.SubscriberCreateError,
        iox2.NotifierCreateError,
        iox2.ListenerCreateError,
    ) as error:
        raise BusError(
            f"cannot join topic {topic!r}: {error} (at most {MAX_PUBLISHERS} publishers and "
            f"{MAX_SUBSCRIBERS} subscribers share a topic)"
        ) from error
