"""How far an arm reaches: shoulder to tip with the arm straight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pinocchio as pin


def straight_reach(model: Any, joints: tuple[str, ...], frame: str) -> float:
    """Largest distance from the first joint of an arm to its tip within joint limits [m].

    Cyclic search, one joint at a time over its range, from a fixed set of starts: an arm's
    reach has few local maxima and a millimetre is plenty (it only scales an operator's motion).
    """
    data = model.createData()
    ids = [model.getJointId(name) for name in joints]
    shoulder, tip = ids[0], model.getFrameId(frame)
    index = [model.joints[k].idx_q for k in ids]
    lower = np.maximum(np.array(model.lowerPositionLimit), -np.pi)
    upper = np.minimum(np.array(model.upperPositionLimit), np.pi)

    def distance(q: Any) -> float:
        pin.forwardKinematics(model, data, q)
        pin.updateFramePlacement(model, data, tip)
        return float(np.linalg.norm(data.oMf[tip].translation - data.oMi[shoulder].translation))

    best = 0.0
    for start in (0.1, 0.5, 0.9):
        q = lower + start * (upper - lower)
        for _ in range(4):
            for i in index[1:]:
                values = np.append(
                    np.linspace(lower[i], upper[i], 25), np.clip(0, lower[i], upper[i])
                )
                trials = []
                for value in values:
                    q[i] = value
                    trials.append(distance(q))
                q[i] = values[int(np.argmax(trials))]
            best = max(best, distance(q))
    return best
