"""`telecap view`: an episode in the Rerun viewer."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from teleop.commands.shared import err, open_episode, out


def view(episode: Positional[Path], *, save: Path | None = None) -> int:
    """Show an episode in the Rerun viewer: pictures, robot, curves, events on one time line.

    Args:
        episode: Episode directory.
        save: Write a .rrd file instead of starting the viewer.
    """
    from teleop.view import Viewer, open_recording

    opened = open_episode(episode)
    recording = open_recording(opened, save)
    with err.status("sending …") as status:
        for part in Viewer(opened, recording).send():
            status.update(f"sent {part}")
        recording.flush()
    if save is not None:
        out.print(f"saved {save}", markup=False, soft_wrap=True)
    return 0
