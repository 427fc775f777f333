"""What a control law remembers, as JSON: written into an episode, and put back into a new one.

Every attribute is written but the robot, the settings and the solver, which the owner makes anew.
Floats survive exactly (their shortest decimal form), arrays as their bytes.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import importlib
import io
import json
import zlib
from collections import deque
from typing import Any

import numpy as np

from teleop.errors import TeleopError

NOT_MEMORY = frozenset({"rig", "config", "_engine", "_hand_engines", "_finger_control"})
"""Attributes that are made anew from the rig and the settings."""
PACKAGES = ("retarget.", "teleop.")
_SEQUENCES: dict[str, Any] = {"tuple": tuple, "list": list, "deque": deque}
_PLAIN = (bool, int, float, str, type(None))


class MemoryFormatError(TeleopError):
    """A memory holds what cannot be written or put back."""


def remember(owner: Any) -> dict[str, Any]:
    """The attributes of an object and of all it holds.

    Raises:
        MemoryFormatError: It holds something that has no written form.
    """
    return {name: write(value) for name, value in _attributes(owner).items()}


def recall(owner: Any, memory: dict[str, Any]) -> None:
    """Put a memory into an object of the same class, made with the rig and settings wanted.

    A part that the settings leave out (a filter that is off) stays out, one they add starts empty.

    Raises:
        MemoryFormatError: The memory is of another class or version.
    """
    present = _attributes(owner)
    unknown = sorted(set(memory) ^ set(present))
    if unknown:
        raise MemoryFormatError(
            f"the memory of a {type(owner).__name__} differs from this version in {unknown}"
        )
    for name, written in memory.items():
        object.__setattr__(owner, name, read(written, present[name]))


def pack(memory: dict[str, Any]) -> str:
    """Compressed JSON as text: most of a memory is zeros, and an event has a largest size."""
    return _text(zlib.compress(json.dumps(memory).encode(), 1))


def unpack(packed: str) -> dict[str, Any]:
    """What `pack` was given."""
    memory: dict[str, Any] = json.loads(zlib.decompress(_raw(packed)))
    return memory


def _attributes(owner: Any) -> dict[str, Any]:
    slots = [n for kind in type(owner).__mro__ for n in getattr(kind, "__slots__", ())]
    names = [*getattr(owner, "__dict__", {}), *slots]
    return {n: getattr(owner, n) for n in names if n not in NOT_MEMORY and hasattr(owner, n)}


def write(value: Any) -> Any:
    """A value as JSON.

    Raises:
        MemoryFormatError: It has no written form.
    """
    if isinstance(value, enum.Enum):
        return int(value.value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return {"array": _array_text(value), "scalar": isinstance(value, np.generic)}
    if type(value) in _SEQUENCES.values():
        return {type(value).__name__: [write(item) for item in value]}
    return _write_other(value)


def _write_other(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"bytes": _text(value)}
    if isinstance(value, dict):
        return {"dict": [[write(k), write(v)] for k, v in value.items()]}
    name = f"{type(value).__module__}:{type(value).__qualname__}"
    if not name.startswith(PACKAGES):
        raise MemoryFormatError(f"a {name} has no written form")
    return {"object": name, "memory": remember(value)}


def read(written: Any, present: Any = None) -> Any:
    """A value from its written form; `present` is what stands in its place now.

    Raises:
        MemoryFormatError: It is of another class or version.
    """
    if isinstance(written, dict):
        return _read_other(written, present)
    if written is None and _keeps_state(present):
        return present
    return type(present)(written) if isinstance(present, enum.Enum) else written


def _read_other(written: dict[str, Any], present: Any) -> Any:
    kind = next(iter(written))
    body = written[kind]
    if kind == "array":
        array = np.load(io.BytesIO(_raw(body)), allow_pickle=False)
        return array[()] if written["scalar"] else array
    if kind == "object":
        return _read_object(body, written["memory"], present)
    if kind == "dict":
        found = present if isinstance(present, dict) else {}
        return {read(k): read(v, found.get(read(k))) for k, v in body}
    if kind == "bytes":
        return _raw(body)
    return _read_sequence(kind, body, present)


def _read_sequence(kind: str, body: list[Any], present: Any) -> Any:
    if kind not in _SEQUENCES:
        raise MemoryFormatError(f"unknown written form {kind!r}; known: {sorted(_SEQUENCES)}")
    items = [read(item) for item in body]
    return (
        deque(items, getattr(present, "maxlen", None))
        if kind == "deque"
        else _SEQUENCES[kind](items)
    )


def _read_object(name: str, memory: dict[str, Any], present: Any) -> Any:
    """Into what is there; values that are never changed are made anew."""
    kind = _kind(name)
    if _is_frozen(kind):
        made = object.__new__(kind)
        for key, value in memory.items():
            object.__setattr__(made, key, read(value))
        return made
    if present is None:
        return None
    if type(present) is not kind:
        raise MemoryFormatError(f"a {type(present).__name__} cannot take the memory of {name}")
    recall(present, memory)
    return present


def _is_frozen(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind) and bool(vars(kind)["__dataclass_params__"].frozen)


def _keeps_state(value: Any) -> bool:
    kind = type(value)
    return f"{kind.__module__}.".startswith(PACKAGES) and not _is_frozen(kind)


def _kind(name: str) -> Any:
    module, _, qualified = name.partition(":")
    if not name.startswith(PACKAGES):
        raise MemoryFormatError(f"{name!r} is not a class of telecap")
    try:
        return getattr(importlib.import_module(module), qualified)
    except (ImportError, AttributeError) as error:
        raise MemoryFormatError(f"this version has no {name!r}: {error}") from error


def _array_text(value: Any) -> str:
    if np.asarray(value).dtype.hasobject:
        raise MemoryFormatError("an array of objects has no written form")
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value), allow_pickle=False)
    return _text(buffer.getvalue())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _raw(text: str) -> bytes:
    return base64.b64decode(text)
