"""`telecap replay --retarget`: commands of a take made again, and how they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retarget import load_rig
from teleop.commands.shared import UsageError, err, open_episode, out
from teleop.differences import Differences, commands, compare
from teleop.offline import Call, OfflineTake


def retarget_episode(
    path: Path, rig: str, changes: Sequence[str], out_file: Path | None, as_json: bool
) -> int:
    """Re-retarget one episode; 1 when it should have been identical and is not."""
    episode = open_episode(path)
    _check_out(out_file, path)
    take = OfflineTake(episode, load_rig(rig) if rig else None, changes)
    with err.status("retargeting …"):
        calls = list(take)
        found = compare(episode, take, calls)
    if out_file is not None:
        save(out_file, take, calls)
    if as_json:
        print(json.dumps(found.to_dict()))  # noqa: T201 - the contract of --json
    else:
        _print(found)
    return 1 if found.as_recorded and not found.identical else 0


def save(path: Path, take: OfflineTake, calls: Sequence[Call]) -> None:
    """Write the new commands as a .npz: an array a field of `command/requested`, and names."""
    made = [call for call in calls if call.outputs is not None]
    rows = commands(take.rig, made)
    answers = [call.outputs.answer for call in made if call.outputs is not None]
    arrays: dict[str, Any] = {name: rows[name] for name in rows.dtype.names or ()}
    np.savez_compressed(
        path,
        joint_names=take.rig.joint_names,
        gripper_names=take.rig.gripper_names,
        rig=take.rig.name,
        model_hash=take.rig.model_hash,
        status=[int(answer.status) for answer in answers],
        saturation=[answer.saturation for answer in answers],
        **arrays,
    )


def _check_out(out_file: Path | None, episode: Path) -> None:
    if out_file is None:
        return
    if out_file.suffix != ".npz":
        raise UsageError(f"--out {out_file}: the name must end in .npz")
    if out_file.exists():
        raise UsageError(f"--out {out_file} exists already and is not replaced")
    if episode.resolve() in out_file.resolve().parents:
        raise UsageError(f"--out {out_file} lies in the episode, which is never changed")


def _print(found: Differences) -> None:
    verdict = "identical, bit for bit" if found.identical else "different"
    if not found.identical and found.first_different_tick is not None:
        verdict += f" from tick {found.first_different_tick} on"
    out.print(f"{found.recorded_rig} → {found.rig}: {found.compared} commands, {verdict}")
    if found.missing or found.gaps:
        out.print(f"{found.missing} commands without a counterpart, {found.gaps} gaps in the rows")
    for name, apart in found.joints.items():
        if apart["max"] > 0:
            out.print(f"  {name:28} max {apart['max']:.3g}  rms {apart['rms']:.3g} rad")
    for tip, apart in found.tips.items():
        out.print(
            f"  {tip:28} max {apart['position_mm_max']:.3g} mm, {apart['rotation_deg_max']:.3g}°"
            f"  rms {apart['position_mm_rms']:.3g} mm, {apart['rotation_deg_rms']:.3g}°"
        )
    for kind, before in found.saturation.get("recorded", {}).items():
        after = found.saturation["offline"][kind]
        out.print(f"  at {kind} limit{'':15} {before:.2%} → {after:.2%}")
    if found.jerk_rms:
        before, after = found.jerk_rms["recorded"], found.jerk_rms["offline"]
        out.print(f"  jerk rms{'':20} {before:.4g} → {after:.4g} rad/s³")
