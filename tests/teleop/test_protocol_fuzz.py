"""Whatever clients send, the gateway lives and the operator is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.protocol_fuzz import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_no_message_harms_the_gateway_or_the_operator(seed: int, tmp_path: Path) -> None:
    ends = fuzz(10_000, seed, tmp_path)
    assert {"4400", "4401"} <= set(ends)
    assert set(ends) <= {"4400", "4401", "4413"}, "one code for each way to be wrong"
