"""The `telecap` command."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence

import tyro
from rich.markup import escape

from recorder import RecorderError
from retarget import RetargetError
from teleop.commands import data, doctor, episodes, pedals, rigs, running
from teleop.commands.shared import err
from teleop.errors import TeleopError

ABOUT = "VR teleoperation data capture: from an operator's motion to checked episodes."

GROUPS: dict[str, tuple[str, dict[str, Callable[..., int]]]] = {
    "episodes": (
        "What a dataset holds, and labels on it.",
        {
            "list": episodes.list_episodes,
            "show": episodes.show,
            "label": episodes.label,
            "discard": episodes.discard,
            "restore": episodes.restore,
        },
    ),
    "export": ("Write training sets.", {"lerobot": data.lerobot}),
    "rigs": ("Robots telecap can drive.", {"list": rigs.list_rigs, "check": rigs.check_rig}),
}


def build_app() -> tyro.extras.SubcommandApp:
    """The command tree."""
    app = tyro.extras.SubcommandApp()
    for command in (
        running.run,
        running.demo,
        running.replay,
        running.operate,
        pedals.pedals,
        doctor.doctor,
        data.check,
        data.repair,
    ):
        app.command(command)
    for name, (about, commands) in GROUPS.items():
        group = tyro.extras.SubcommandApp()
        for leaf, leaf_command in commands.items():
            group.command(name=leaf)(leaf_command)
        app.command(group, name=name, help=about)
    return app


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the exit code is 0 done, 1 found bad, 2 could not be done."""
    logging.basicConfig(level=os.environ.get("TELECAP_LOG", "WARNING"))
    try:
        flags = (tyro.conf.FlagCreatePairsOff,)
        code = int(build_app().cli(prog="telecap", description=ABOUT, args=args, config=flags))
    except (TeleopError, RecorderError, RetargetError) as error:
        err.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
