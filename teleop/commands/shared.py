"""What commands share: consoles, argument kinds, and opening what the user named."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from recorder import Dataset, Episode
from recorder.errors import UnfinishedEpisodeError
from recorder.parts import directory_of
from teleop.errors import TeleopError

JsonFlag = Annotated[bool, tyro.conf.arg(name="json")]

DEFAULT_DATASET = Path("datasets/default")
VERDICT_COLOUR = {"pass": "green", "warn": "yellow", "fail": "red"}

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class UsageError(TeleopError):
    """A request that cannot be served as it stands."""


def open_dataset(dataset: Path) -> Dataset:
    """Open a dataset to read or label it.

    Raises:
        UsageError: There is none at this path.
    """
    require_dataset(dataset)
    return Dataset.open(dataset, repair=False)


def open_episode(path: Path) -> Episode:
    """Open a finished episode.

    Raises:
        UsageError: It was never finished.
    """
    try:
        return Episode(path)
    except UnfinishedEpisodeError as error:
        raise UsageError(
            f"{path} is not finished: it is being recorded, or a crash left it open "
            f"(then `telecap repair {path.parent.parent}` finishes it)"
        ) from error


def require_dataset(dataset: Path) -> None:
    """Raise `UsageError` where a path holds no dataset."""
    if not (dataset / "dataset.json").is_file():
        raise UsageError(f"{dataset} is not a dataset: it has no dataset.json")


def episode_paths(path: Path) -> Sequence[Path]:
    """Episodes at a path: itself, or all of a dataset.

    Raises:
        UsageError: It is neither.
    """
    if (path / "dataset.json").is_file():
        return [Path(r.path) for r in open_dataset(path).episodes()]
    if (directory_of(path) / "zarr.json").is_file():
        return [path]  # which open_episode opens, or says that there is no such part
    raise UsageError(f"{path} is neither an episode (zarr.json) nor a dataset (dataset.json)")


def stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and a request to end set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
