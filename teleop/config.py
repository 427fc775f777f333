"""What one running system is made of; written once by the supervisor, read by every process."""

from __future__ import annotations

from pathlib import Path

import msgspec


class CameraConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One camera to capture.

    Attributes:
        name: Stream name, as in the rig (`head_left`, `wrist_right`, …).
        width: Picture width [px].
        height: Picture height [px].
        rate_hz: Pictures per second.
        codec: How they are recorded: `jpeg`, `png` (lossless), `h264` or `depth`.
        depth_unit_m: What a step of a `depth` camera is [m].
    """

    name: str
    width: int = 320
    height: int = 240
    rate_hz: int = 30
    codec: str = "jpeg"
    depth_unit_m: float = 0.001


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One running system.

    Attributes:
        instance: Name of this system on the shared-memory bus; two systems never meet.
        run_dir: Where processes put their logs and this file lies.
        rig: Built-in rig name or path of a rig file.
        dataset: Dataset directory.
        host: Address the gateway binds.
        port: Port the gateway binds; 0 picks a free one and writes it to `run_dir/gateway.json`.
        token: Bearer token of this run.
        pairing: First one-time code for a headset; empty for none.
        tls: Serve https/wss with the user's own certificate authority.
        operator: Operator profile to load and store; empty keeps the profile in memory only.
        task: Language instruction stored with every take.
        plan: Plan file of the session; empty for none, then `task` holds for every take.
        render: Render profile, `auto`, `cpu` or `gpu`.
        cameras: Cameras to capture; empty takes those of the rig at the profile's size.
        codec: Codec of the rig's colour cameras; empty takes what the rig says of each.
        control_rate_hz: Rate of the control grid.
        countdown_s: Seconds between asking for a take and its first row.
        clutch: `relative` or `absolute`; empty takes the rig's `[clutch] mode`.
        pedals: TOML file with a `[pedals]` section that goes over the rig's; empty for none.
        seed: Seed of the simulated scene.
    """

    instance: str
    run_dir: str
    rig: str = "openarm"
    dataset: str = "datasets/default"
    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""
    pairing: str = ""
    tls: bool = False
    operator: str = ""
    task: str = ""
    plan: str = ""
    render: str = "auto"
    cameras: tuple[CameraConfig, ...] = ()
    codec: str = ""
    control_rate_hz: int = 200
    countdown_s: float = 0.0
    clutch: str = ""
    pedals: str = ""
    seed: int = 0

    def save(self) -> Path:
        """Write `run_dir/config.json` and return its path."""
        path = Path(self.run_dir) / "config.json"
        path.write_bytes(msgspec.json.encode(self))
        return path

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read what `save` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
