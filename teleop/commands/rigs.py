"""`telecap rigs …`."""

from __future__ import annotations

import json
from pathlib import Path

from rich.markup import escape
from tyro.conf import Positional

from retarget import builtin_rigs, load_rig
from retarget.rigfile import find_rig, read_rig
from retarget.sources import missing_packages
from teleop.commands.shared import JsonFlag, out
from teleop.rigcheck import JointReport, RigReport, inspect_rig
from teleop.rigpicture import check_path, save_picture


def list_rigs(*, as_json: JsonFlag = False) -> int:
    """List the built-in rigs and what their models need.

    Args:
        as_json: Print a JSON list.
    """
    rows = [_row(name) for name in builtin_rigs()]
    if as_json:
        print(json.dumps(rows))  # noqa: T201
        return 0
    for row in rows:
        needs = "" if row["installed"] else f"  [yellow]needs {escape(str(row['install']))}[/]"
        driven = f"{row['joints']:>2} joints {row['fingers']:>2} fingers"
        line = f"[bold]{row['name']:<13}[/] {driven}  {row['description']}{needs}"
        out.print(line, soft_wrap=True)
    return 0


def check_rig(
    rig: Positional[str],
    *,
    picture: Path | None = None,
    azimuth_deg: float = 150.0,
    elevation_deg: float = -20.0,
    as_json: JsonFlag = False,
) -> int:
    """Load a rig as `run` does, measure it and print what was found.

    The exit code is 0 when it can be driven, 1 when something is wrong with it, 2 when it cannot
    be loaded.

    Args:
        rig: Built-in rig name or path of a rig file.
        picture: Also render the rig at home into this .png or .jpg file.
        azimuth_deg: Where the picture is taken from; 180 is the robot's front.
        elevation_deg: Negative looks down.
        as_json: Print one JSON object.
    """
    if picture is not None:
        check_path(picture)
    loaded = load_rig(rig)
    report = inspect_rig(loaded)
    if picture is not None:
        save_picture(loaded, picture, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    if as_json:
        print(json.dumps(report.to_dict()))  # noqa: T201
    else:
        _print(report)
        if picture is not None:
            out.print(f"picture: {picture}", soft_wrap=True)
    return 1 if report.problems else 0


def _row(name: str) -> dict[str, object]:
    """One line of the list; read from the rig file alone, so that it needs no model."""
    file = read_rig(find_rig(name))
    limbs = [arm.joints for arm in file.arms.values()]
    limbs += [s.joints for s in (file.torso, file.head, file.base) if s is not None]
    missing = missing_packages(file)
    return {
        "name": name,
        "description": file.description,
        "joints": sum(len(joints) for joints in limbs),
        "fingers": sum(len(hand.joints) for hand in file.hands.values()),
        "installed": not missing,
        "install": " and ".join(missing),
    }


def _print(report: RigReport) -> None:
    out.print(f"[bold]{escape(report.name)}[/]  {escape(report.source)}", soft_wrap=True)
    out.print(f"model: {report.model}", soft_wrap=True, markup=False)
    for limb, joints in report.limbs.items():
        out.print(f"[bold]{limb}[/]: {len(joints)} joints")
        _print_joints(joints)
    for tip, (x, y, z) in report.tips_home_m.items():
        out.print(f"{tip} at home: ({x:+.3f}, {y:+.3f}, {z:+.3f}) m")
    reach = ", ".join(f"{side} {value:.2f} m" for side, value in report.reach_m.items())
    out.print(f"reach: {reach or 'no arms'}; mass {report.mass_kg:.1f} kg")
    for side, g in report.grippers.items():
        out.print(f"gripper {side}: {g['joint']}, open {g['open']:g}, closed {g['closed']:g}")
    for side, hand in report.hands.items():
        coupled = f", {hand.coupled} coupled to them" if hand.coupled else ""
        out.print(
            f"[bold]{side} hand[/]: {len(hand.joints)} driven joints{coupled}; objective "
            f"{hand.objective}, tips of {', '.join(hand.tips_home_m)}"
        )
        _print_joints(hand.joints)
    cameras = ", ".join(f"{name} {w}×{h}" for name, (w, h) in report.cameras.items())
    out.print(f"cameras: {cameras or 'none'}", soft_wrap=True)
    out.print(f"engines differ by {report.engines_differ_m:.1e} m at most")
    _print_collisions(report)
    if report.dropped_visuals:
        out.print(
            f"{len(report.dropped_visuals)} visual meshes dropped, their format is not read: "
            f"{report.dropped_visuals[0]}, …",
            soft_wrap=True,
        )
    if report.drift is not None:
        out.print(
            f"home held for 2 s in simulation: {report.drift_joint} off by {report.drift:.4f}"
        )
    for problem in report.problems:
        out.print(f"[red]problem[/] {escape(problem)}", soft_wrap=True)


def _print_joints(joints: list[JointReport]) -> None:
    for j in joints:
        out.print(
            f"  {j.name:<34} {j.lower:+7.3f} … {j.upper:+7.3f}  home {j.home:+7.3f}"
            f"  ≤ {j.velocity:g}/s, {j.acceleration:g}/s²",
            soft_wrap=True,
        )


def _print_collisions(report: RigReport) -> None:
    nearest = "" if report.clearance_m is None else f", nearest {1e3 * report.clearance_m:.1f} mm"
    out.print(f"collision pairs: {report.pairs}{nearest}")
    for a, b in report.overlaps:
        out.print(f"  [yellow]overlap at home, not checked[/]: {a} and {b}")
