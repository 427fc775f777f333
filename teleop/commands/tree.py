"""Every command, for a machine that has the robot side installed."""

from __future__ import annotations

from collections.abc import Callable

import tyro

from recorder import RecorderError
from retarget import RetargetError
from teleop.commands import data, doctor, episodes, hmd, pedals, rigs, running, view
from teleop.errors import TeleopError

ERRORS: tuple[type[Exception], ...] = (TeleopError, RecorderError, RetargetError)
"""What is told in a sentence instead of a trace."""
COMMANDS: tuple[Callable[..., int], ...] = (
    running.run,
    running.demo,
    hmd.hmd,
    running.replay,
    running.operate,
    pedals.pedals,
    doctor.doctor,
    data.check,
    view.view,
    data.repair,
)
GROUPS: dict[str, tuple[str, dict[str, Callable[..., int]]]] = {
    "episodes": (
        "What a dataset holds, and labels on it.",
        {
            "list": episodes.list_episodes,
            "show": episodes.show,
            "label": episodes.label,
            "discard": episodes.discard,
            "restore": episodes.restore,
            "tag": episodes.tag,
            "trim": episodes.trim,
            "split": episodes.split,
            "merge": episodes.merge,
            "history": episodes.history,
            "undo": episodes.undo,
            "purge": episodes.purge,
        },
    ),
    "export": ("Write training sets.", {"lerobot": data.lerobot}),
    "rigs": ("Robots telecap can drive.", {"list": rigs.list_rigs, "check": rigs.check_rig}),
}


def build_app() -> tyro.extras.SubcommandApp:
    """The command tree."""
    app = tyro.extras.SubcommandApp()
    for command in COMMANDS:
        app.command(command)
    for name, (about, commands) in GROUPS.items():
        group = tyro.extras.SubcommandApp()
        for leaf, leaf_command in commands.items():
            group.command(name=leaf)(leaf_command)
        app.command(group, name=name, help=about)
    return app
