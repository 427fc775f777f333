"""The `telecap` command."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.markup import escape

from teleop.errors import TeleopError

ABOUT = "VR teleoperation data capture: from an operator's motion to checked episodes."
ROBOT_SIDE = ("pinocchio", "mujoco", "zarr")
"""Without these there is only the headset client: on Windows they are not installed."""


def has_robot_side() -> bool:
    """Whether what drives and records robots is installed."""
    return all(name in sys.modules or importlib.util.find_spec(name) for name in ROBOT_SIDE)


def build_app() -> tuple[tyro.extras.SubcommandApp, tuple[type[Exception], ...]]:
    """The command tree, and the errors that are told in a sentence."""
    if has_robot_side():
        from teleop.commands import tree

        return tree.build_app(), tree.ERRORS
    from teleop.commands.hmd import hmd

    app = tyro.extras.SubcommandApp()
    app.command(hmd)
    app.command(run)
    return app, (TeleopError,)


def run() -> int:
    """Not on this machine: serving robots needs Linux; here only the headset client runs."""
    raise TeleopError(
        f"serving a robot needs {', '.join(ROBOT_SIDE)}, which are not installed here; run "
        f"`telecap run` on a Linux machine and `telecap hmd ADDRESS` here"
    )


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the exit code is 0 done, 1 found bad, 2 could not be done."""
    logging.basicConfig(level=os.environ.get("TELECAP_LOG", "WARNING"))
    app, errors = build_app()
    flags = (tyro.conf.FlagCreatePairsOff,)
    try:
        code = int(app.cli(prog="telecap", description=ABOUT, args=args, config=flags))
    except errors as error:
        code = _refuse(str(error))
    except OSError as error:
        if error.filename is None:  # not about a file that somebody named
            raise
        code = _refuse(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _refuse(reason: str) -> int:
    Console(stderr=True, highlight=False).print(f"[red]error[/] {escape(reason)}", soft_wrap=True)
    return 2


if __name__ == "__main__":
    main()
