"""Reads a dataset with the real `lerobot`; run in an interpreter that has it, prints JSON.

Usage: python lerobot_reader_script.py ROOT ROW [ROW …]
"""

import json
import sys


def number_in(chw) -> int:
    """Number in a float (3, H, W) picture: 12 blocks of 16 px, dark or white."""
    number = 0
    for bit in range(12):
        y, x = divmod(bit, 4)
        block = chw[0, y * 16 + 4 : (y + 1) * 16 - 4, x * 16 + 4 : (x + 1) * 16 - 4]
        number |= int(block.mean().item() > 0.5) << bit
    return number


def main(root: str, rows: list[int]) -> None:
    import lerobot
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("telecap/test", root=root, video_backend="pyav")
    found = []
    for row in rows:
        item = dataset[row]
        found.append(
            {
                "row": row,
                "episode": item["episode_index"].item(),
                "frame": item["frame_index"].item(),
                "task": item["task"],
                "valid": bool(item["valid"].item()),
                "state": item["observation.state"].tolist(),
                "action": item["action"].tolist(),
                "numbers": {k: number_in(item[k]) for k in dataset.meta.camera_keys},
                "keys": sorted(item),
            }
        )
    window = LeRobotDataset(
        "telecap/test",
        root=root,
        video_backend="pyav",
        delta_timestamps={
            "action": [0.0, 1 / dataset.fps],
            dataset.meta.camera_keys[0]: [-1 / dataset.fps, 0.0],
        },
    )
    item = window[rows[1]]
    result = {
        "version": lerobot.__version__,
        "length": len(dataset),
        "episodes": dataset.num_episodes,
        "robot_type": dataset.meta.robot_type,
        "stats": {k: v["mean"].shape for k, v in dataset.meta.stats.items()},
        "rows": found,
        "window": {
            "action": list(item["action"].shape),
            "numbers": [number_in(p) for p in item[dataset.meta.camera_keys[0]]],
        },
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], [int(row) for row in sys.argv[2:]])
