"""Pedals and button boxes: what keys ask, what a lost device does, how devices are read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.effects import Tracked, View
from teleop.errors import BindingError
from teleop.gateway.keys import (
    EV_KEY,
    EV_SYN,
    SYN_DROPPED,
    KeyWatch,
    find_devices,
    first_names,
    key_names,
)
from teleop.gateway.pedaldesk import PedalDesk
from teleop.intents import Intent
from teleop.pedals import PedalBindings, Pedals, pedal_bindings, pedal_section
from teleop.samples import Motion, Recording
from tests.teleop.gateway_rig import headset, serving

MS = 1_000_000
VIEW = View(Motion.IDLE, Recording.IDLE, (False, False), (0, 0), 0, True, False, 0)
REVIEW = replace(VIEW, recording=Recording.REVIEW)
FOOT = "Foot Switch"
SECTION = {
    FOOT: {
        "KEY_A": {"press": "record_toggle", "review_press": "save_success", "hold": "home"},
        "KEY_B": {"held": "deadman"},
        "KEY_C": {"press": "estop"},
    }
}
NAMES = {30: ("KEY_A",), 48: ("KEY_B",), 46: ("KEY_C",), 113: ("KEY_MIN_INTERESTING", "KEY_MUTE")}
HANDS = Tracked(0, True, (True, True), (True, True), (False, False))


def bindings(section: dict[str, Any] | None = None) -> PedalBindings:
    (only,) = pedal_bindings(section or SECTION, first_names(NAMES))
    return only


def plugged(down: Iterable[str] = ()) -> Pedals:
    pedals = Pedals()
    pedals.plug(bindings(), down, VIEW, 0)
    return pedals


# ------------------------------------------------------------------------ keys
def test_a_press_asks_once_and_means_another_thing_after_a_take() -> None:
    pedals = plugged()
    assert [a.intent for a in pedals.key(FOOT, "KEY_A", True, VIEW, 0)] == [Intent.RECORD_TOGGLE]
    assert pedals.key(FOOT, "KEY_A", False, VIEW, 10 * MS) == []
    (saved,) = pedals.key(FOOT, "KEY_A", True, REVIEW, 20 * MS)
    assert (saved.intent, saved.args.outcome) == (Intent.SAVE, "success")
    assert pedals.tick(VIEW, 900 * MS) == []
    assert [a.intent for a in pedals.tick(VIEW, 1020 * MS)] == [Intent.HOME]
    assert pedals.tick(VIEW, 2020 * MS) == []


def test_who_pressed_is_said() -> None:
    (stop,) = plugged().key(FOOT, "KEY_C", True, VIEW, 0)
    assert (stop.intent, stop.by) == (Intent.ESTOP, "Foot Switch, KEY_C")


def test_a_deadman_holds_both_arms_while_it_is_down() -> None:
    pedals = plugged()
    assert pedals.add(HANDS).deadman == (False, False)
    pedals.key(FOOT, "KEY_B", True, VIEW, 0)
    assert pedals.add(HANDS).deadman == (True, True)
    pedals.key(FOOT, "KEY_B", False, VIEW, 0)
    assert pedals.add(HANDS).deadman == (False, False)


def test_bare_hands_without_gestures_have_the_buttons_of_the_pedal() -> None:
    bare = replace(HANDS, has_buttons=(False, False))
    assert plugged().add(bare).has_buttons == (True, True)
    assert Pedals().add(bare) == bare


def test_a_key_that_was_down_before_means_nothing_until_it_was_up() -> None:
    pedals = plugged(["KEY_B"])
    assert pedals.add(HANDS).deadman == (False, False)
    assert pedals.tick(VIEW, 5000 * MS) == []
    pedals.key(FOOT, "KEY_B", False, VIEW, 0)
    pedals.key(FOOT, "KEY_B", True, VIEW, 0)
    assert pedals.add(HANDS).deadman == (True, True)


def test_an_emergency_stop_that_was_down_before_counts() -> None:
    (stop,) = Pedals().plug(bindings(), ["KEY_C"], VIEW, 0)
    assert stop.intent is Intent.ESTOP


def test_losing_the_device_lets_go_and_stops() -> None:
    pedals = plugged()
    pedals.key(FOOT, "KEY_B", True, VIEW, 0)
    assert [a.intent for a in pedals.unplug(FOOT)] == [Intent.ESTOP]
    assert pedals.add(HANDS).deadman == (False, False)
    assert pedals.unplug(FOOT) == []


def test_losing_a_device_without_an_emergency_stop_only_lets_go() -> None:
    pedals = Pedals()
    pedals.plug(bindings({FOOT: {"KEY_B": {"held": "deadman_left"}}}), [], VIEW, 0)
    pedals.key(FOOT, "KEY_B", True, VIEW, 0)
    assert pedals.add(HANDS).deadman == (True, False)
    assert pedals.unplug(FOOT) == []


@given(st.lists(st.tuples(st.sampled_from(["KEY_A", "KEY_B", "KEY_C", "KEY_X"]), st.booleans())))
def test_a_deadman_is_held_exactly_while_its_key_is(edges: list[tuple[str, bool]]) -> None:
    pedals, held = plugged(), False
    for k, (key, down) in enumerate(edges):
        pedals.key(FOOT, key, down, VIEW, k * MS)
        held = down if key == "KEY_B" else held
        assert pedals.add(HANDS).deadman == (held, held)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"KEY_Q": {"press": "estop"}}, "no key 'KEY_Q'"),
        ({"KEY_A": {"double": "estop"}}, "no 'double'"),
        ({"KEY_A": {"press": "dance"}}, "'dance'"),
        ({"KEY_A": {"held": "estop"}}, "'estop'"),
        ({"KEY_A": "estop"}, "not of the form"),
        ({"grab": 1, "KEY_A": {"press": "estop"}}, "grab"),
        ({"hold_s": 0, "KEY_A": {"press": "estop"}}, "hold_s"),
        ({}, "binds no key"),
    ],
)
def test_what_a_rig_file_says_wrongly_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(BindingError, match=words):
        bindings({FOOT: table})


def test_any_name_of_a_key_will_do() -> None:
    assert bindings({FOOT: {"KEY_MUTE": {"press": "pause"}}}).keys == {"KEY_MIN_INTERESTING"}


def test_keys_have_the_names_of_the_kernel() -> None:
    names = first_names(key_names())
    assert names["KEY_A"] == "KEY_A"
    assert names["BTN_0"] == names["BTN_MISC"]
    assert all(device.name for device in find_devices())


# --------------------------------------------------------------------- devices
@dataclass
class Event:
    type: int
    code: int
    value: int


@dataclass
class Device:
    """An input device made of a pipe: every byte is an event that waits."""

    name: str = FOOT
    path: str = "/dev/input/event7"
    down: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    grabbed: bool = False
    lost: bool = False

    def __post_init__(self) -> None:
        self.fd, self._write = os.pipe()

    def happen(self, *events: Event) -> None:
        self.events += events
        os.write(self._write, b"x")

    def unplug(self) -> None:
        self.lost = True
        os.write(self._write, b"x")

    def read(self) -> Iterator[Event]:
        os.read(self.fd, 100)
        if self.lost:
            raise OSError(19, "No such device")
        events, self.events = self.events, []
        return iter(events)

    def active_keys(self) -> list[int]:
        return self.down

    def grab(self) -> None:
        self.grabbed = True

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._write)


@dataclass
class Heard:
    said: asyncio.Queue[tuple[Any, ...]] = field(default_factory=asyncio.Queue)

    def pedal_plugged(self, bindings: PedalBindings, keys_down: Any) -> None:
        self.said.put_nowait(("plugged", bindings.device, *keys_down))

    def pedal_unplugged(self, device: str) -> None:
        self.said.put_nowait(("unplugged", device))

    def pedal_key(self, device: str, key: str, down: bool) -> None:
        self.said.put_nowait((device, key, down))

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.said.get(), 5)


async def test_devices_are_read_lost_and_found_again() -> None:
    first, second, heard = Device(down=[48]), Device(), Heard()
    shelf = [None, first, None, second]
    watch = KeyWatch([bindings()], heard, NAMES, lambda _: shelf.pop(0) if shelf else None)
    task = asyncio.create_task(watch.run())
    assert await heard.next() == ("plugged", FOOT, "KEY_B")
    assert first.grabbed
    first.happen(Event(EV_KEY, 30, 1), Event(EV_KEY, 30, 2), Event(EV_KEY, 30, 0))
    assert await heard.next() == (FOOT, "KEY_A", True)
    assert await heard.next() == (FOOT, "KEY_A", False)
    first.down = []
    first.happen(Event(EV_SYN, SYN_DROPPED, 0))
    assert await heard.next() == (FOOT, "KEY_B", False), "its release was dropped"
    first.unplug()
    assert await heard.next() == ("unplugged", FOOT)
    assert await heard.next() == ("plugged", FOOT)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(second.fd)


async def test_a_pedal_drives_the_session_and_its_loss_stops_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, headset(rig) as operator:
        desk = PedalDesk(rig.hub)
        desk.pedal_plugged(bindings(), [])
        await operator.hello()
        await operator.say("claim")
        await operator.hear("claim_granted")
        await operator.hold(0.2)
        desk.pedal_key(FOOT, "KEY_B", True)
        await operator.hold(0.2)
        await operator.until(engaged=[True, True])
        desk.pedal_key(FOOT, "KEY_B", False)
        await operator.hold(0.1)
        await operator.until(engaged=[False, False])
        desk.pedal_unplugged(FOOT)
        assert rig.hub.session.view().motion is Motion.ESTOP
        notices = [await operator.hear("notice") for _ in range(2)]
        assert any("disconnected" in notice["text"] for notice in notices)


def test_a_file_of_its_own_is_read_or_named(tmp_path: Path) -> None:
    good, bad, other = (tmp_path / name for name in ("good.toml", "bad.toml", "other.toml"))
    good.write_text(f'[pedals."{FOOT}"]\nKEY_B = {{ held = "deadman" }}\n')
    bad.write_text("[pedals")
    other.write_text("[bindings]\n")
    (read,) = pedal_bindings(pedal_section(good), first_names(NAMES))
    assert (read.device, read.steers) == (FOOT, (True, True))
    for path in (bad, other, tmp_path / "none.toml"):
        with pytest.raises(BindingError, match=path.name):
            pedal_section(path)
