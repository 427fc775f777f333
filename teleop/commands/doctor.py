"""`telecap doctor`: what of this computer helps or hinders, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from teleop.commands.shared import DEFAULT_DATASET, JsonFlag, out
from teleop.doctor import devices, link, machine
from teleop.doctor.items import Item

COLOUR = {"ok": "green", "warn": "yellow", "fail": "red"}


def examine(dataset: Path, port: int) -> Iterator[Item]:
    """Look at everything, one thing after the other."""
    yield machine.look_at_cores()
    yield machine.look_at_scheduling()
    yield machine.look_at_clock()
    yield machine.look_at_shared_memory()
    yield machine.look_at_disk(dataset)
    yield devices.look_at_compiler()
    yield devices.look_at_pictures()
    yield devices.look_at_rigs()
    yield link.look_at_port(port)
    yield link.look_at_network()
    yield link.look_at_certificate()
    yield link.look_at_cable()
    yield devices.look_at_openxr()
    yield devices.look_at_cameras()
    yield devices.look_at_pedals()


def doctor(dataset: Path = DEFAULT_DATASET, *, port: int = 8765, as_json: JsonFlag = False) -> int:
    """Look at this computer: what will work, what will not, and what to do about it.

    The exit code is 0 when a capture can run, 1 when something would stop it.

    Args:
        dataset: Where episodes will lie; 32 MB are written there and deleted.
        port: Port the server will use.
        as_json: Print a JSON list.
    """
    items = []
    for item in examine(dataset, port):
        items.append(item)
        if not as_json:
            _print(item)
    if as_json:
        print(json.dumps([item.to_dict() for item in items]))  # noqa: T201
    return 1 if any(item.level == "fail" for item in items) else 0


def _print(item: Item) -> None:
    head = f"[{COLOUR[item.level]}]{item.level:4}[/] {item.name:22}"
    out.print(f"{head} {escape(item.found)}", soft_wrap=True)
    if item.todo:
        out.print(f"{'':28}{escape(item.todo)}", soft_wrap=True, style="dim")
