"""Runs dex-retargeting over a case; called by `bench.hands` with an interpreter that has it.

Arguments: folder of the case (`case.npz`, `hand.urdf`, `names.json`), file for the answers.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from dex_retargeting.retargeting_config import RetargetingConfig


def main() -> int:
    """Time every frame; judge by the optimizer's own objective."""
    folder, answer = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    case, names = np.load(folder / "case.npz"), json.loads((folder / "names.json").read_text())
    config = RetargetingConfig.from_dict(
        {
            "type": "vector",
            "urdf_path": str(folder / "hand.urdf"),
            "target_joint_names": names["joints"],
            "target_origin_link_names": names["origins"],
            "target_task_link_names": names["tasks"],
            "target_link_human_indices": np.array(names["human"]).T.tolist(),
            "scaling_factor": float(case["scale"]),
            "low_pass_alpha": 1.0,
            "add_dummy_free_joint": False,
        }
    )
    retargeting = config.build()
    optimizer = retargeting.optimizer
    order = [names["joints"].index(n) for n in optimizer.target_joint_names]
    to_ours = [optimizer.target_joint_names.index(n) for n in names["joints"]]
    q = case["start"][order].astype(np.float32)
    nothing, found = np.array([]), {"q": [], "ns": [], "value": [], "value_of_ours": []}
    for number, vectors in enumerate(case["vectors"]):
        last = q.copy()
        begin = time.perf_counter_ns()
        q = optimizer.retarget(
            ref_value=vectors.astype(np.float32), fixed_qpos=nothing, last_qpos=last
        )
        found["ns"].append(time.perf_counter_ns() - begin)
        judge = optimizer.get_objective_function(vectors.astype(np.float32), nothing, last)
        found["value"].append(judge(np.asarray(q, dtype=np.float64), nothing))
        found["q"].append(np.asarray(q)[to_ours])
        if "ours" in case:
            ours = case["ours"][number][order]
            found["value_of_ours"].append(judge(ours.astype(np.float64), nothing))
    np.savez(answer, **{k: np.array(v) for k, v in found.items() if v})
    print(metadata.version("dex_retargeting"), torch.__version__)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
