"""The comparison of hands runs without its peer; its URDF is the hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest

from bench import hands
from bench.hand_motion import motion
from bench.urdf import write_hand_urdf
from retarget.handshape import hand_shape
from tests.retarget.conftest import cached_rig


@pytest.fixture(scope="module")
def hand():
    return cached_rig("allegro").hands["right"]


def test_the_urdf_is_the_hand(hand, tmp_path: Path) -> None:
    path = tmp_path / "hand.urdf"
    path.write_text(write_hand_urdf(hand))
    model = pin.buildModelFromUrdf(str(path))
    data, rng = model.createData(), np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform(hand.lower, hand.upper)
        every = dict(zip(hand.model.names[1:], hand.E @ q + hand.offset, strict=True))
        pin.framesForwardKinematics(model, data, np.array([every[n] for n in model.names[1:]]))
        at = [data.oMf[model.getFrameId(f"point_{name}")].translation for name in hand.link_names]
        in_palm = np.array(at) @ hand.T_palm_root[:3, :3].T + hand.T_palm_root[:3, 3]
        np.testing.assert_allclose(in_palm, hand.positions(q), atol=1e-9)


def test_every_frame_of_the_motion_is_a_hand() -> None:
    frames = motion(2.0)
    assert all(hand_shape(joints, "right") is not None for joints in frames)
    assert np.abs(np.diff(frames, axis=0)).max() < 0.03


def test_without_the_peer_ours_is_measured_and_the_reason_said(hand, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(hands.PYTHON, raising=False)
    monkeypatch.setattr(hands, "use_one_core", lambda: 0)
    out = tmp_path / "result.json"
    assert (
        hands.main(["--hands", "allegro", "--seconds", "1", "--passes", "1", "--out", str(out)])
        == 0
    )
    (row,) = json.loads(out.read_text())["rows"]
    assert hands.PYTHON in row["skipped"]
    assert len(row["ours_us"]) == 3


def test_ours_is_as_good_as_a_converged_answer(hand) -> None:
    frames = motion(1.0)
    vectors = hands.vectors_of(hand, frames)
    chain = [hand.q_home]
    for joints in frames:
        chain.append(hands.answers(hand, joints[None], chain[-1][None])[0])
    frames, vectors, starts = frames[20:], vectors[20:], np.array(chain[20:-1])
    terms, huber = hand.terms("vector"), hands.CONFIG.huber_m
    for q, start, wanted in zip(hands.answers(hand, frames, starts), starts, vectors, strict=True):

        def value(x, start=start, wanted=wanted):
            points = (hand.positions(x) - hand.T_palm_root[:3, 3]) @ hand.T_palm_root[:3, :3]
            off = points[terms.pairs[:, 1]] - points[terms.pairs[:, 0]] - hand.scale * wanted
            d = np.linalg.norm(off, axis=1)
            d = np.where(d < huber, d**2 / (2 * huber), d - huber / 2)
            return d.mean() + hands.CONFIG.rest * ((x - start) ** 2).sum()

        best = value(q)
        for i in range(len(q)):
            for step in (-0.02, 0.02):
                near = q.copy()
                near[i] = np.clip(q[i] + step, hand.lower[i], hand.upper[i])
                assert value(near) > best - 2e-5
