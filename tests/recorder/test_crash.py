"""A real SIGKILL of a real writer, at moments that it does not choose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset
from tests.recorder.takes import HEAD, STATE, encoded, pictures, random_rows, same_bits

CHILD = """
import sys, itertools, numpy as np
from recorder import Dataset
from tests.recorder.takes import *
rng = np.random.default_rng(11)
state, head = random_rows(STATE, 5000, rng), random_rows(HEAD, 5000, rng)
frames = pictures(40, rng)
writer = Dataset.open(sys.argv[1], create=True).begin(STREAMS, CAMERAS)
print("ready", flush=True)
for i in range(5000):
    writer.append("state", state[i : i + 1])
    writer.append("operator/head", head[i : i + 1])
    writer.append_picture("front", frames[i % 40], i, i, i, i)
    if i % 20 == 0:
        writer.sync()
    sys.stdout.write(f"{i + 1}\\n")
    sys.stdout.flush()
"""


KILLS = int(os.environ.get("TELECAP_KILLS", "10"))


@pytest.mark.system
@pytest.mark.parametrize("seed", range(KILLS))
def test_sigkill_loses_no_acknowledged_row(tmp_path: Path, seed: int) -> None:
    moment = np.random.default_rng(seed)
    lines, later_s = int(moment.integers(1, 1500)), float(moment.uniform(0.0, 0.003))
    rng = np.random.default_rng(11)
    state, head = random_rows(STATE, 5000, rng), random_rows(HEAD, 5000, rng)
    frames = pictures(40, rng)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdout is not None
    for _ in range(lines + 1):
        child.stdout.readline()
    time.sleep(later_s)
    child.send_signal(signal.SIGKILL)
    acknowledged = lines + len(child.stdout.read().splitlines())
    child.wait()
    dataset = Dataset.open(tmp_path)
    assert len(dataset.repaired) == 1
    episode = dataset[dataset.repaired[0].id]
    rows = episode.stream("state").rows()
    assert acknowledged - 1 <= len(rows) <= acknowledged + 1
    assert same_bits(rows, state[: len(rows)])
    heads = episode.stream("operator/head").rows()
    assert len(heads) >= acknowledged - 1
    assert same_bits(heads, head[: len(heads)])
    found = encoded(episode, "front")
    assert len(found) >= acknowledged - 1
    assert found == [frames[i % 40] for i in range(len(found))]
