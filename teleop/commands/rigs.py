"""`telecap rigs …`."""

from __future__ import annotations

from tyro.conf import Positional

from retarget import builtin_rigs, load_rig
from teleop.commands.shared import out


def list_rigs() -> int:
    """List the built-in rigs."""
    for name in builtin_rigs():
        out.print(name)
    return 0


def check_rig(rig: Positional[str]) -> int:
    """Load a rig and print what was found in it.

    Args:
        rig: Built-in rig name or path of a rig file.
    """
    loaded = load_rig(rig)
    out.print(f"[bold]{loaded.name}[/]  {loaded.source}")
    out.print(f"driven joints ({len(loaded.joint_names)}): {', '.join(loaded.joint_names)}")
    out.print(f"grippers: {', '.join(loaded.gripper_names) or 'none'}")
    for tip, T_robot_tip in loaded.forward(loaded.q_home).items():
        x, y, z = T_robot_tip[:3, 3]
        out.print(f"{tip} at home: ({x:+.3f}, {y:+.3f}, {z:+.3f}) m")
    out.print(f"cameras: {', '.join(c.name for c in loaded.cameras) or 'none'}")
    return 0
