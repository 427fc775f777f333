"""Pictures of an episode by imagecodecs' own Zarr codecs; prints a digest of each as JSON.

Usage: python imagecodecs_reader_script.py EPISODE ROW [ROW …]
"""

import hashlib
import json
import sys

import imagecodecs.zarr
import zarr


def main(episode: str, rows: list[int]) -> None:
    imagecodecs.zarr.register_codecs(["jpeg", "png"])
    theirs = {
        "codecs.imagecodecs_jpeg": "imagecodecs.zarr.Jpeg",
        "codecs.imagecodecs_png": "imagecodecs.zarr.Png",
    }
    with zarr.config.set(theirs):
        image = zarr.open_group(episode, mode="r")["cameras/front/image"]
        pictures = [image[row] for row in rows]
    print(json.dumps([hashlib.sha256(p.tobytes()).hexdigest() for p in pictures]))


if __name__ == "__main__":
    main(sys.argv[1], [int(row) for row in sys.argv[2:]])
