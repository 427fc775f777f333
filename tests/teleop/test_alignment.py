"""Laws of the gate before an absolute clutch, and of a session that waits behind it."""

from __future__ import annotations

import numpy as np
import pytest

from retarget import load_rig
from retarget.frames import inverse, matrix_to_pose, pose_to_matrix, stage_to_robot
from teleop.alignment import DWELL_NS, AlignmentGate, ArmGeometry, offset_of
from teleop.effects import Calibrated, OperatorArrived, RobotReported, Tracked
from teleop.protocol import empty_frame
from teleop.samples import Motion
from teleop.session import Session

MS = 1_000_000
EYE_M, SCALE = 1.62, 1.1
RIG = load_rig("openarm")
GEOMETRY = ArmGeometry.of(RIG)
TIPS = RIG.forward(RIG.q_home)
STAGE = stage_to_robot()


def frame_at(left: np.ndarray, right: np.ndarray) -> np.void:
    """Controllers with these grips, (4, 4) in STAGE."""
    frame = empty_frame()
    frame["presence"] = 7
    for side, T in (("left", left), ("right", right)):
        frame[f"{side}_controller"]["flags"] = 15
        frame[f"{side}_controller"]["grip"] = matrix_to_pose(T)
    return frame


def ghosts() -> dict[str, np.ndarray]:
    return {
        side: GEOMETRY.map(side, STAGE, SCALE, EYE_M).hand(TIPS[f"{side}_wrist"])  # type: ignore[arg-type]
        for side in ("left", "right")
    }


class Gate:
    def __init__(self) -> None:
        self.gate, self.now_ns = AlignmentGate(GEOMETRY), 0

    def show(self, left: np.ndarray, right: np.ndarray, ms: int = 10) -> tuple[bool, bool]:
        self.now_ns += ms * MS
        frame = frame_at(left, right)
        return self.gate.read(frame, STAGE, SCALE, EYE_M, TIPS, self.now_ns)


def off_by(T: np.ndarray, step: tuple[float, float, float]) -> np.ndarray:
    moved = T.copy()
    moved[:3, 3] += step
    return moved


def test_a_hand_that_points_ahead_means_the_home_orientation_of_its_tip() -> None:
    for side in ("left", "right"):
        tip = GEOMETRY.map(side, STAGE, SCALE, EYE_M).tip(np.eye(4))  # type: ignore[arg-type]
        np.testing.assert_allclose(tip[:3, :3], TIPS[f"{side}_wrist"][:3, :3], atol=1e-9)


def test_a_hand_must_stay_near_its_ghost_for_the_dwell() -> None:
    gate, at = Gate(), ghosts()
    away = off_by(at["right"], (0.0, 0.0, 0.06))
    assert gate.show(at["left"], away) == (False, False)
    assert gate.show(at["left"], at["right"], DWELL_NS // MS) == (True, False)
    assert gate.show(at["left"], at["right"], DWELL_NS // MS) == (True, True)
    assert gate.show(away, at["right"]) == (False, True)
    assert gate.show(at["left"], at["right"], 10) == (False, True)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ((0.0, 0.1, 0.0), "down"),
        ((0.0, 0.0, 0.1), "forward"),
        ((0.1, -0.1, 0.0), "left, up"),
        ((0.03, 0.0, 0.0), ""),
    ],
)
def test_the_way_to_the_ghost_is_said_as_the_operator_faces(
    step: tuple[float, float, float], said: str
) -> None:
    at = ghosts()["left"]
    assert offset_of(off_by(at, step), at, STAGE).direction == said


def test_a_turned_hand_is_told_to_turn() -> None:
    at = ghosts()["left"]
    turned = at @ pose_to_matrix([0, 0, 0, 0, 0, np.sin(0.2), np.cos(0.2)])
    offset = offset_of(turned, at, STAGE)
    assert (offset.near, offset.direction) == (False, "turn the hand")
    assert offset.radians == pytest.approx(0.4)
    assert inverse(at) @ turned == pytest.approx(inverse(offset.T_stage_ghost) @ turned)


def test_an_untracked_hand_is_never_aligned() -> None:
    gate, at = Gate(), ghosts()
    for _ in range(50):
        frame = frame_at(at["left"], at["right"])
        frame["left_controller"]["flags"] = 0
        gate.now_ns += 20 * MS
        aligned = gate.gate.read(frame, STAGE, SCALE, EYE_M, TIPS, gate.now_ns)
        assert not aligned[0]
    assert aligned[1]
    assert set(gate.gate.offsets) == {"right"}


# --- the session behind it ------------------------------------------------------------------------


def absolute_session() -> tuple[Session, int]:
    session = Session(0)
    session.handle(OperatorArrived("x"), 0)
    session.handle(Calibrated(), 0)
    assert session.choose_clutch(absolute=True) == ""
    return session, 0


def track(session: Session, now_ns: int, *, pressed: bool, aligned: bool) -> Motion:
    session.handle(RobotReported(), now_ns)
    both = (True, True)
    session.handle(
        Tracked(now_ns, True, both, both, (pressed, pressed), (aligned, aligned)), now_ns
    )
    return session.view().motion


def test_an_absolute_clutch_waits_as_long_as_the_deadman_is_held() -> None:
    session, now_ns = absolute_session()
    track(session, now_ns, pressed=False, aligned=False)
    for _ in range(500):
        now_ns += 20 * MS
        assert track(session, now_ns, pressed=True, aligned=False) is Motion.ALIGNING
    assert track(session, now_ns + 20 * MS, pressed=True, aligned=True) is Motion.ENGAGED


def test_an_aligned_hand_without_a_deadman_engages_nothing() -> None:
    session, now_ns = absolute_session()
    for _ in range(20):
        now_ns += 20 * MS
        assert track(session, now_ns, pressed=False, aligned=True) is Motion.IDLE


def test_letting_go_while_aligning_is_a_hold() -> None:
    session, now_ns = absolute_session()
    track(session, now_ns, pressed=False, aligned=False)
    track(session, now_ns + 20 * MS, pressed=True, aligned=False)
    assert track(session, now_ns + 40 * MS, pressed=False, aligned=False) is Motion.HOLD


def test_the_clutch_is_not_changed_while_an_arm_follows_or_waits() -> None:
    session, now_ns = absolute_session()
    track(session, now_ns, pressed=False, aligned=False)
    track(session, now_ns + 20 * MS, pressed=True, aligned=False)
    assert session.choose_clutch(absolute=False) == "let go of both arms first"
    track(session, now_ns + 40 * MS, pressed=True, aligned=True)
    assert session.choose_clutch(absolute=False)
    track(session, now_ns + 60 * MS, pressed=False, aligned=True)
    assert session.choose_clutch(absolute=False) == ""
