"""`telecap run`, `demo`, `replay` and `operate`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import tyro
from tyro.conf import Positional

from teleop.commands.shared import (
    DEFAULT_DATASET,
    JsonFlag,
    UsageError,
    err,
    out,
    stop_on_signals,
)

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def run(
    rig: str = "openarm",
    dataset: Path = DEFAULT_DATASET,
    *,
    task: str = "",
    operator: str = "",
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str = "",
    tls: bool = False,
    render: Literal["auto", "cpu", "gpu"] = "auto",
    codec: Literal["rig", "jpeg", "png", "h264"] = "rig",
    countdown_s: float = 0.0,
    clutch: Literal["rig", "relative", "absolute"] = "rig",
    pedals: Path | None = None,
    plan: Path | None = None,
    seed: int = 0,
) -> int:
    """Serve a rig until stopped: console page at /, headset page at /xr.

    Args:
        rig: Built-in rig name, or path of your own rig file.
        dataset: Where episodes are stored.
        task: Language instruction stored with every take.
        operator: Operator profile to use and keep.
        host: Address to listen on; 0.0.0.0 lets headsets on the network in.
        port: Port to listen on; 0 picks a free one.
        token: Token to ask for; a new one is made when empty.
        tls: Serve https (needed by headset browsers that do not use localhost).
        render: Render profile of simulated cameras.
        codec: How colour pictures are recorded; `png` is lossless, `h264` the smallest.
        countdown_s: Seconds between asking for a take and its start.
        clutch: How hands move the arms: relative to where both were, or to where the hands are.
        pedals: TOML file with this place's pedals and button boxes, over those of the rig.
        plan: Plan of the session (tasks, variations, takes wanted); each take is of what it wants
            next.
        seed: Seed of the simulated scene.
    """
    from teleop.gateway.mdns import local_name
    from teleop.supervisor import Supervisor
    from teleop.system import new_config, page_urls

    _check_port(port)
    config = new_config(
        rig=rig,
        dataset=str(dataset.expanduser().resolve()),
        task=task,
        operator=operator,
        host=host,
        port=port,
        token=token,
        tls=tls,
        render=render,
        codec="" if codec == "rig" else codec,
        countdown_s=countdown_s,
        clutch="" if clutch == "rig" else clutch,
        pedals="" if pedals is None else str(_pedal_file(pedals)),
        plan="" if plan is None else str(_plan_file(plan, task)),
        seed=seed,
    )
    stop = stop_on_signals()
    with Supervisor(config) as system:
        with err.status("starting …"):
            system.start(on_ready=lambda name: err.print(f"  {name} ready"))
        urls = page_urls(system.url, config.token, host)
        out.print(f"[bold]console[/]  {urls['console']}", soft_wrap=True)
        out.print(f"[bold]headset[/]  {urls['headset']}", soft_wrap=True)
        if host not in LOOPBACK:
            once = page_urls(system.url, config.token, host, config.pairing)["headset"]
            out.print(f"by code   {once}  (opens once, within half an hour)", soft_wrap=True)
            _print_qr(once)
            out.print(f"by name   {local_name()} instead of the address, where names work")
        _print_cable(int(urlsplit(system.url).port or port))
        out.print(f"episodes  {config.dataset}\nlogs      {config.run_dir}\nCtrl-C stops.")
        while not stop.wait(0.1):
            system.watch()
        err.print("stopping …")
    return 0


def demo(
    out_dir: Annotated[Path, tyro.conf.arg(name="out")] = Path("telecap-demo"),
    *,
    episodes: int = 3,
    seed: int = 0,
    as_json: JsonFlag = False,
) -> int:
    """Run the whole system once, with no headset and no robot.

    Starts the real system with the openarm rig in MuJoCo, lets a synthetic operator perform the
    hand-over task through the real WebSocket, records and checks every take, writes a report and
    exports a LeRobot dataset.

    Args:
        out_dir: Where everything is written.
        episodes: Takes to record.
        seed: Seed of the scene and of the synthetic operator.
        as_json: Print one JSON object as the last line.
    """
    from teleop.demo import run_demo

    result = run_demo(out_dir, episodes=episodes, seed=seed, console=err if as_json else out)
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the contract of --json
    return 0 if all(e["success"] and e["quality"] != "fail" for e in result["episodes"]) else 1


def replay(
    episode: Positional[Path],
    *,
    url: str = "",
    token: str = "",
    dataset: Path = DEFAULT_DATASET,
    retarget: bool = False,
    rig: str = "",
    changes: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")] = (),
    out_file: Annotated[Path | None, tyro.conf.arg(name="out")] = None,
    as_json: JsonFlag = False,
) -> int:
    """Stream the operator part of a recorded episode through the system again.

    With --retarget nothing is started: the commands are made again offline from what the control
    law was given live, and compared. The exit code is 1 when the take's own rig and settings do
    not give its own commands, bit for bit.

    Args:
        episode: Episode directory.
        url: A running system, as `telecap run` printed it; a simulated one is started when empty.
        token: Token of that system.
        dataset: Where a system started here stores what is recorded.
        retarget: Make the commands again offline and say how they differ.
        rig: With --retarget, another robot: built-in name or path of a rig file.
        changes: With --retarget, settings to change, such as filters.smoothing.beta=10.
        out_file: With --retarget, a new .npz file for the new commands.
        as_json: With --retarget, print one JSON object.
    """
    if retarget:
        from teleop.commands.offline import retarget_episode

        return retarget_episode(episode, rig, changes, out_file, as_json)
    if rig or changes or out_file is not None:
        raise UsageError("--rig, --set and --out belong to --retarget")
    from teleop.demo import replay_episode

    result = replay_episode(episode, url=url, token=token, dataset=dataset, console=err)
    out.print_json(data=result)
    return 0


def operate(
    name: Positional[str] = "",
    *,
    url: str = "http://127.0.0.1:8765",
    token: str = "",
    option: tuple[str, ...] = (),
) -> int:
    """Let an installed operator drive a running system; without a name, list them.

    Args:
        name: Its name in the entry-point group `telecap.operators`.
        url: The running system, as `telecap run` printed it.
        token: Token of that system.
        option: Options of the operator, each `key=value`.
    """
    import msgspec

    from teleop.operators import make_operator, operators, parse_options

    if not name:
        for known, point in sorted(operators().items()):
            out.print(f"{known:16} {point.value}")
        return 0
    operator = make_operator(name, url, token, parse_options(option))
    with err.status(f"{name} …") as status:
        result = asyncio.run(operator.perform(lambda _, what: status.update(f"{name}: {what}")))
    out.print_json(msgspec.json.encode(result).decode())
    return 0


def _pedal_file(path: Path) -> Path:
    """Absolute path of a file of pedals; what is wrong in it is said before anything starts."""
    from teleop.gateway.keys import first_names, key_names
    from teleop.pedals import pedal_bindings, pedal_section

    pedal_bindings(pedal_section(path), first_names(key_names()))
    return path.expanduser().resolve()


def _plan_file(path: Path, task: str) -> Path:
    """Absolute path of a plan; what is wrong in it is said before anything starts."""
    from teleop.plan import Plan

    if task:
        raise UsageError("--task and --plan: a plan says the task of each take")
    Plan.load(path)
    return path.expanduser().resolve()


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} is not between 0 and 65535")


def _print_qr(url: str) -> None:
    import segno

    segno.make(url).terminal(compact=True)


def _print_cable(port: int) -> None:
    """What to do for a headset that hangs on a cable right now."""
    from teleop.doctor.link import look_at_cable

    item = look_at_cable(port=port)
    if "connected" in item.found and item.todo:
        out.print(f"[bold]cable[/]    {item.found}: {item.todo}", soft_wrap=True)
