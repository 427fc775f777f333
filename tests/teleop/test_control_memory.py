"""What the control law remembers survives JSON: a copy goes on exactly as the original."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import FilterConfig
from retarget.frames import matrix_to_pose, stage_to_robot
from teleop.control import ControlConfig, ControlCore
from teleop.control_log import CHECKPOINTS_NS, CallLog
from teleop.control_memory import MemoryFormatError, read, recall, remember, write
from teleop.samples import (
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    Recording,
    Tracking,
    robot_state_dtype,
    row_sizes,
)
from teleop.settings_keys import SettingError, changed
from tests.retarget.conftest import cached_rig

DT = 5_000_000


class Inputs:
    """A hand that wanders, with bad poses and short gaps, on a robot that follows exactly."""

    def __init__(self, seed: int) -> None:
        rig = cached_rig("openarm")
        self.rng = np.random.default_rng(seed)
        dtype = robot_state_dtype(*row_sizes(rig))
        self.session = np.zeros(1, SESSION_STATE)[0]
        self.frame = np.zeros(1, OPERATOR_FRAME)[0]
        self.state = np.zeros(1, dtype)[0]
        self.state["position"], self.state["gripper_command"] = rig.q_home, 1.0
        self.session["motion"], self.session["engaged"] = Motion.ENGAGED, True
        self.session["T_robot_stage"] = matrix_to_pose(stage_to_robot())
        self.session["reach_scale"] = self.session["engage_count"] = 1
        self.frame["presence"], self.now_ns = 7, 1_000_000_000
        self.frame["head"][6] = 1.0
        self.frame["head_flags"] = int(Tracking.VALID | Tracking.TRACKED)

    def step(self, *cores: ControlCore) -> list[np.ndarray]:
        """The same calls for all; their commands."""
        rng = self.rng
        self.now_ns += DT
        self.session["t_ns"] = self.state["t_ns"] = self.now_ns
        if rng.random() < 0.05:
            self.session["engage_count"] += 1
        self.frame["seq"] += 1
        self.frame["t_ns"] = self.frame["t_receive_ns"] = self.now_ns - 1_000_000
        for side in ("left", "right"):
            device = self.frame[f"{side}_controller"]
            device["flags"] = int(Tracking.VALID | Tracking.TRACKED) if rng.random() < 0.95 else 0
            device["grip"][:3] += rng.normal(0, 2e-3, 3)
            device["grip"][3:] = (0, 0, 0, 1) if rng.random() < 0.98 else (0, 0, 0, 0)
            device["trigger"] = rng.random()
        rows = self.session.copy(), self.frame.copy(), self.state.copy()
        found = [core.tick(*rows, self.now_ns) for core in cores]
        if rng.random() < 0.5:
            self.frame["seq"] += 1
            frame = self.frame.copy()
            found = [c.revise(frame, self.now_ns) or f for c, f in zip(cores, found, strict=True)]
        commands = [outputs.command for outputs in found if outputs is not None]
        self.state["position"] = commands[0]["position"]
        return commands


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(0, 40), smooth=st.booleans())
def test_a_control_law_with_the_memory_of_another_goes_on_as_it_does(seed, steps, smooth):
    rig = cached_rig("openarm")
    config = ControlConfig(filters=FilterConfig() if smooth else FilterConfig.gate_only())
    inputs, original, copy = Inputs(seed), ControlCore(rig, config), ControlCore(rig, config)
    for _ in range(steps):
        inputs.step(original)
    recall(copy, json.loads(json.dumps(remember(original))))
    for _ in range(30):
        one, other = inputs.step(original, copy)
        assert one.tobytes() == other.tobytes()


def test_a_filter_that_is_switched_on_or_off_takes_no_memory():
    rig = cached_rig("openarm")
    inputs, filters = Inputs(3), (FilterConfig(), FilterConfig.gate_only())
    for before, after in (filters, filters[::-1]):
        original = ControlCore(rig, ControlConfig(filters=before))
        inputs.step(original)
        copy = ControlCore(rig, ControlConfig(filters=after))
        recall(copy, json.loads(json.dumps(remember(original))))
        assert len(inputs.step(original, copy)) == 2


@pytest.mark.parametrize(
    "value",
    [None, True, 3, float("nan"), 0.1 + 0.2, "text", b"\x00\xff", (1, 2.5), [None], {"a": (1,)}],
)
def test_values_come_back_as_they_were(value):
    again = read(json.loads(json.dumps(write(value))))
    assert repr(again) == repr(value)


def test_rows_come_back_byte_for_byte():
    frame = Inputs(1).frame
    again = read(json.loads(json.dumps(write(frame))))
    assert again.dtype == frame.dtype
    assert again.tobytes() == frame.tobytes()


def test_what_cannot_be_written_is_refused_by_name():
    with pytest.raises(MemoryFormatError, match="function"):
        write(lambda: None)
    with pytest.raises(MemoryFormatError, match="not a class of telecap"):
        read({"object": "os:system", "memory": {}})


def test_a_memory_of_another_version_is_refused():
    core = ControlCore(cached_rig("openarm"))
    memory = remember(core)
    memory.pop("_tick")
    with pytest.raises(MemoryFormatError, match="_tick"):
        recall(core, memory)


def test_memories_are_due_when_a_take_begins_and_then_now_and_again():
    inputs, core = Inputs(2), ControlCore(cached_rig("openarm"))
    log, due = CallLog(core), []
    for k in range(220):
        inputs.session["recording"] = Recording.RECORDING if k >= 10 else Recording.IDLE
        inputs.step(core)
        rows = inputs.session, inputs.frame, inputs.state
        row = log.tick(*rows, inputs.now_ns, k, True)
        assert int(row["seq"]) == k + 1
        memory = log.checkpoint(inputs.now_ns)
        if memory is not None:
            assert memory["seq"] == k + 1
            due.append(k)
    assert due == [10 + after // DT for after in CHECKPOINTS_NS]


def test_settings_are_changed_by_dotted_name():
    config = ControlConfig(filters=FilterConfig())
    new = changed(config, ["filters.smoothing.beta=7", "stale_ns=5"])
    assert new.filters.smoothing is not None
    assert (new.filters.smoothing.beta, new.stale_ns) == (7.0, 5)
    assert changed(config, ["filters.smoothing=null"]).filters.smoothing is None
    assert changed(config, []) == config
    for wrong in (
        "filters.smoothing.gamma=1",
        "nothing",
        "stale_ns=soon",
        "filters.smoothing.beta=-1",
    ):
        with pytest.raises(SettingError):
            changed(config, [wrong])
