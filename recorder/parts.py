"""Parts of a split episode: names and bounds. The recording itself stays one.

Part `k` of episode `NAME` is called `NAME~k`, counted from 1. It can be opened, labelled and
exported like an episode; its files are those of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

SEPARATOR = "~"


def part_name(episode: str, number: int) -> str:
    """Name of a part, counted from 1."""
    return f"{episode}{SEPARATOR}{number}"


def whole_of(name: str) -> str:
    """Name of the episode a part is of; an episode's own name."""
    return name.partition(SEPARATOR)[0]


def directory_of(path: Path) -> Path:
    """Where the files of an episode, or of the episode a part is of, lie."""
    return path.with_name(whole_of(path.name))


def add_parts(labels: MutableMapping[str, dict[str, Any]]) -> None:
    """Give each part of each split episode its labels: those of the whole, then its own.

    Args:
        labels: Merged labels by name; those of a split episode hold `split_ns`, the times [ns] at
            which its parts begin and end. They get `parts`; each part gets its bounds as `part_ns`,
            and `trim_ns` within them.
    """
    for whole in [name for name, found in labels.items() if "split_ns" in found]:
        bounds = labels[whole].pop("split_ns")
        inherited = dict(labels[whole])
        names = [part_name(whole, k + 1) for k in range(len(bounds) - 1)]
        last_ns = [*(b - 1 for b in bounds[1:-1]), bounds[-1]]  # each instant is in one part
        for name, span in zip(names, zip(bounds, last_ns, strict=False), strict=True):
            own = labels.get(name, {})
            tags = set(inherited.get("tags", ())) - set(own.get("untagged", ()))
            labels[name] = {
                **inherited,
                **own,
                "tags": sorted(tags | set(own.get("tags", ()))),
                "part_ns": list(span),
                "trim_ns": _common(span, own.get("trim_ns", span)),
            }
        labels[whole]["parts"] = names


def _common(a: tuple[int, int], b: tuple[int, int]) -> list[int]:
    return [max(a[0], b[0]), min(a[1], b[1])]


def exists(name: str, labels: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a name is that of a whole episode, or of a part of one that is split."""
    whole = whole_of(name)
    return name == whole or name in labels.get(whole, {}).get("parts", ())
