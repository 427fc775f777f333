"""Whatever a client sends, the gateway lives, the robot is not moved, and others are served.

usage: python -m bench.protocol_fuzz [--messages 1000000] [--seed 0]

Real hub, session and protocol, without sockets. Attackers with and without the token send random
bytes, random JSON, and damaged copies of good messages, also with a good token and a claim. Beside
them one honest operator holds the robot: not one of its frames may be lost.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from teleop.gateway.client import Client
from teleop.gateway.hub import Hub
from teleop.protocol import Limits, Phase, ServerConnection, empty_frame, encode_tracking
from teleop.samples import Button, Motion, Tracking
from tests.teleop.gateway_rig import TOKEN, make_rig

MS = 1_000_000
KEYS = (
    "type", "client", "token", "role", "device", "video", "codecs", "resume", "name", "args",
    "id", "t_device_ns", "stream", "seq", "key", "outcome", "notes", "seed", "turns",
)  # fmt: skip
WORDS = (
    "hello", "claim", "release", "ping", "pong", "event", "video_ack", "operator", "watcher",
    "webxr", "console", "estop_reset", "record_start", "save", "home", "scene_reset", "head_left",
    TOKEN, "*", "jpeg", "h264", "", "\x00", "é" * 40, "x" * 70000,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**64, 1e308, -0.0, 1.5, True, None)


class Fuzzer:
    """Makes messages, from garbage to nearly good."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._seq = 0

    def message(self) -> str | bytes:
        make = self._random.choice(
            (self._bytes, self._text, self._json, self._json, self._tracking, self._good)
        )
        return make()

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.choice((0, 1, 15, 16, 48, 100, 900)))

    def _text(self) -> str:
        data = self._random.randbytes(self._random.randint(0, 60))
        return data.decode(errors=self._random.choice(("replace", "ignore")))

    def _json(self) -> str:
        value = {
            key: self._value(2) for key in self._random.sample(KEYS, self._random.randint(0, 6))
        }
        if self._random.random() < 0.8:
            value["type"] = self._random.choice(WORDS[:7])
        return json.dumps(value)

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(4 if depth else 2)
        if kind == 0:
            return self._random.choice(WORDS)
        if kind == 1:
            return self._random.choice(NUMBERS)
        if kind == 2:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 3))]
        return {self._random.choice(KEYS): self._value(depth - 1)}

    def _tracking(self) -> bytes:
        """A good tracking message with some of its bytes changed."""
        self._seq += 1
        frame = empty_frame()
        frame["seq"], frame["presence"] = self._seq, self._random.randrange(32)
        frame["head_flags"] = 15
        data = bytearray(encode_tracking(frame))
        for _ in range(self._random.choice((0, 1, 4, 40))):
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        if self._random.random() < 0.1:
            del data[self._random.randrange(len(data)) :]
        return bytes(data)

    def _good(self) -> str:
        return json.dumps(
            self._random.choice(
                (
                    {"type": "hello", "client": "webxr", "token": "wrong"},
                    {"type": "hello", "client": "webxr", "token": TOKEN, "video": ["*"]},
                    {"type": "claim"},
                    {"type": "release"},
                    {"type": "event", "name": self._random.choice(WORDS)},
                    {"type": "video_ack", "stream": "head_left", "seq": 3, "key": True},
                    {"type": "pong", "id": self._random.randrange(2**31), "t_device_ns": 1},
                )
            )
        )


class Attacker:
    """A client that sends what a fuzzer makes, until it is thrown out; then the next one comes."""

    def __init__(self, hub: Hub, now_ns: int, privileged: bool) -> None:
        # rates are not what is tried here
        limits = Limits(max_messages_per_s=10**9)
        self.client = Client(ServerConnection(now_ns, limits), lambda: None)
        hub.add(self.client)
        if privileged:
            hello = {"type": "hello", "client": "webxr", "token": TOKEN, "video": ["*"]}
            self.send(hub, json.dumps(hello), now_ns)

    def send(self, hub: Hub, message: str | bytes, now_ns: int) -> None:
        if isinstance(message, str):
            self.client.connection.receive_text(message, now_ns)
        else:
            self.client.connection.receive_bytes(message, now_ns)
        hub.process(self.client, now_ns)
        while self.client.outbox.take(now_ns) is not None:
            pass

    @property
    def is_out(self) -> bool:
        return self.client.connection.phase is Phase.CLOSED


def fuzz(messages: int, seed: int, dataset: Path) -> Counter[str]:
    """Send that many messages; how attackers ended, by close code.

    Raises:
        AssertionError: Something an attacker must not reach was reached.
    """
    rig, fuzzer, rng = make_rig(dataset), Fuzzer(seed), random.Random(seed + 1)
    hub, ends = rig.hub, Counter[str]()
    now_ns = time.monotonic_ns()
    honest = Attacker(hub, now_ns, privileged=True)
    honest.send(hub, json.dumps({"type": "claim"}), now_ns)
    attackers = [Attacker(hub, now_ns, privileged=k % 2 == 0) for k in range(4)]
    sent = 0
    for k in range(messages):
        now_ns += MS
        rig.log.clear()
        index = rng.randrange(len(attackers))
        attackers[index].send(hub, fuzzer.message(), now_ns)
        assert not rig.sent("operator/frame"), "an attacker's frame reached the bus"
        if attackers[index].is_out:
            ends[str(attackers[index].client.connection.close_code)] += 1
            hub.remove(attackers[index].client, now_ns)
            attackers[index] = Attacker(hub, now_ns, privileged=rng.random() < 0.5)
        if k % 10 == 0:
            sent += 1
            honest.send(hub, honest_frame(sent), now_ns)
            (frame,) = rig.sent("operator/frame")
            assert int(frame["seq"]) == sent, "a frame of the operator was lost"
            hub.tick(now_ns)
        assert hub.session.view().motion not in (Motion.ENGAGED, Motion.HOMING)
    assert not honest.is_out
    assert hub.claim.holder == honest.client.session_id
    return ends


def honest_frame(seq: int) -> bytes:
    """A person who holds nothing."""
    frame = empty_frame()
    good = int(Tracking.VALID | Tracking.TRACKED)
    frame["seq"], frame["presence"], frame["head_flags"] = seq, 7, good
    frame["head"] = [0.0, 1.6, 0.0, 0.0, 0.0, 0.0, 1.0]
    for side, x in (("left", -0.2), ("right", 0.2)):
        block = frame[f"{side}_controller"]
        block["flags"], block["buttons"] = good, int(Button(0))
        block["grip"] = block["aim"] = np.array([x, 1.1, -0.3, 0.0, 0.0, 0.0, 1.0])
    return encode_tracking(frame)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ends = fuzz(args.messages, args.seed, Path(folder))
    seconds = time.monotonic() - begun
    print(f"{args.messages} messages in {seconds:.0f} s; attackers ended with {dict(ends)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
