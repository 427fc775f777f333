"""A second of the openarm at home, with targets, a camera and an event, for the viewer's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from recorder import CameraSpec, Dataset, StreamSpec
from tests.retarget.conftest import cached_rig

S = 1_000_000_000
TARGET = np.dtype(
    [
        ("t_ns", np.int64),
        ("valid", np.bool_, (3,)),
        ("T_robot_left_wrist", np.float64, (7,)),
        ("T_robot_right_wrist", np.float64, (7,)),
    ]
)


def record_view_take(tmp_path: Path) -> Path:
    """Record it; returns its directory."""
    rig = cached_rig("openarm")
    names = list(rig.joint_names)
    state = np.dtype([("t_ns", np.int64), ("position", np.float64, (len(names),))])
    specs = [
        StreamSpec("state", state, 100.0, {"position": {"names": names}}),
        StreamSpec("command/requested", state, 100.0, {"position": {"names": names}}),
        StreamSpec("target", TARGET, 100.0),
    ]
    dataset = Dataset.open(tmp_path / "data", create=True)
    writer = dataset.begin(specs, [CameraSpec("front", 32, 32, 30.0)], {"rig": "openarm"})
    rows = np.zeros(100, state)
    rows["t_ns"] = S + np.arange(100) * S // 100
    rows["position"] = rig.q_home
    for spec in specs[:2]:
        writer.append(spec.name, rows)
    targets = np.zeros(100, TARGET)
    targets["t_ns"], targets["valid"] = rows["t_ns"], (True, True, False)
    targets["T_robot_left_wrist"] = targets["T_robot_right_wrist"] = (0.4, 0, 1, 0, 0, 0, 1)
    writer.append("target", targets)
    for k in range(30):
        encoded = simplejpeg.encode_jpeg(np.full((32, 32, 3), k, np.uint8))
        writer.append_picture("front", encoded, S + k * S // 30, k, S + k * S // 30, k)
    writer.event(S + S // 2, "pause")
    found = writer.finish()
    writer.wait_settled()
    return found.path
