"""What the recorder makes of operator frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from teleop import samples
from teleop.recording import OPERATOR_PARTS, dropped_pictures, operator_channels, split_operator

PRESENCE = st.lists(st.integers(0, 31), max_size=20)


def frames_of(presence: list[int]) -> np.ndarray:
    frames = np.zeros(len(presence), samples.OPERATOR_FRAME)
    rng = np.random.default_rng(len(presence))
    frames["presence"] = presence
    frames["seq"] = np.arange(len(presence)) + 7
    for name in ("t_ns", "t_device_ns", "t_receive_ns"):
        frames[name] = rng.integers(0, 2**62, len(presence))
    frames["head"] = rng.normal(size=(len(presence), 7))
    frames["left_controller"]["grip"] = rng.normal(size=(len(presence), 7))
    frames["right_hand"]["joints"] = rng.normal(size=(len(presence), 26, 7))
    frames["right_controller"]["trigger"] = rng.uniform(size=len(presence))
    return frames


@given(PRESENCE)
def test_every_present_device_becomes_exactly_one_row(presence: list[int]) -> None:
    parts = dict(split_operator(frames_of(presence)))
    for part, (bit, _) in OPERATOR_PARTS.items():
        rows = parts.get(f"operator/{part}", [])
        assert len(rows) == sum(bool(p & bit) for p in presence)


@given(PRESENCE)
def test_values_and_clocks_are_unaltered(presence: list[int]) -> None:
    frames = frames_of(presence)
    for name, rows in split_operator(frames):
        part = name.removeprefix("operator/")
        source = frames[(frames["presence"] & OPERATOR_PARTS[part][0]) != 0]
        for clock in ("t_ns", "t_device_ns", "t_receive_ns", "seq"):
            np.testing.assert_array_equal(rows[clock], source[clock])
        if part == "head":
            np.testing.assert_array_equal(rows["pose"], source["head"])
        else:
            for field in source[part].dtype.names or ():
                np.testing.assert_array_equal(rows[field], source[part][field])


def test_streams_describe_the_rows_they_get() -> None:
    specs = {s.name: s for s in operator_channels()}
    for name, rows in split_operator(frames_of([31])):
        assert specs[name].dtype == rows.dtype
        assert specs[name].fields.keys() <= set(rows.dtype.names or ())
        pose = {"pose", "grip", "joints"} & specs[name].fields.keys()
        assert all(specs[name].fields[p]["quaternion_order"] == "xyzw" for p in pose)
        assert specs[name].attributes["flags"]["EMULATED"] == samples.Tracking.EMULATED


def test_what_a_camera_lost_counts_as_dropped_pictures_of_its_stream() -> None:
    lost = {"t_ns": 5, "kind": "camera_dropped", "data": {"camera": "front", "pictures": 3}}
    assert dropped_pictures(lost, {"front"}) == ("cameras/front", 3)
    assert dropped_pictures(lost, {"wrist"}) is None
    assert dropped_pictures({"t_ns": 5, "kind": "camera_lost"}, {"front"}) is None
