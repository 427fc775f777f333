"""`telecap view`: an episode, or a running session, in the Rerun viewer."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from teleop.commands.shared import err, open_episode, out, stop_on_signals


def view(path: Positional[Path], *, save: Path | None = None) -> int:
    """Show an episode, or a running session live, in the Rerun viewer.

    Pictures, robot as measured and as requested, curves and events on one time line.

    Args:
        path: Episode directory; or the directory of a running session on this machine, as
            `telecap run` prints it behind `logs`, until Ctrl-C.
        save: Write a .rrd file instead of starting the viewer.
    """
    from teleop.liveview import is_session
    from teleop.view import Viewer, open_recording

    if is_session(path):
        return _view_live(path, save)
    opened = open_episode(path)
    recording = open_recording(opened.id, save)
    with err.status("sending …") as status:
        for part in Viewer(opened, recording).send():
            status.update(f"sent {part}")
        recording.flush()
    if save is not None:
        out.print(f"saved {save}", markup=False, soft_wrap=True)
    return 0


def _view_live(path: Path, save: Path | None) -> int:
    from teleop.bus import Bus
    from teleop.liveview import RATE_HZ, LiveViewer, session_config
    from teleop.view import open_recording

    config = session_config(path)
    stop = stop_on_signals()
    with Bus(config.instance) as bus:
        recording = open_recording(config.instance, save)
        viewer = LiveViewer(config, bus, recording)
        err.print(f"live: {config.rig}. Ctrl-C stops.")
        while not stop.wait(1.0 / RATE_HZ):
            viewer.step()
        recording.flush()
    if save is not None:
        out.print(f"saved {save}", markup=False, soft_wrap=True)
    return 0
