"""Random samples a second of a dataset read with `lerobot`; run in an interpreter that has it.

usage: python lerobot_script.py ROOT SAMPLES ACTIONS
"""

import json
import random
import sys
import time


def main(root: str, samples: int, actions: int) -> None:
    import lerobot
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    torch.set_num_threads(1)
    steps = {"action": [k / 30 for k in range(1, actions + 1)]}
    for backend in ("torchcodec", "pyav"):
        try:
            dataset = LeRobotDataset(
                "telecap/bench", root=root, delta_timestamps=steps, video_backend=backend
            )
            dataset[0]
        except Exception as error:  # noqa: BLE001 - torchcodec needs libraries of the system
            print(f"{backend}: {error}", file=sys.stderr)
            continue
        break
    else:
        raise SystemExit("neither torchcodec nor pyav reads it")
    pick = random.Random(0)
    order = [pick.randrange(len(dataset) - actions - 1) for _ in range(samples)]
    for k in order[:20]:
        dataset[k]
    begun = time.process_time()
    for k in order:
        dataset[k]
    rate = samples / (time.process_time() - begun)
    print(json.dumps({"version": lerobot.__version__, "backend": backend, "rate": rate}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
