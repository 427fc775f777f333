"""Settings changed by name: `filters.predict_s=0.01` on a tree of frozen dataclasses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from teleop.errors import TeleopError

T = TypeVar("T")


class SettingError(TeleopError):
    """A change names no setting, or its value does not fit."""


def changed(settings: T, changes: Sequence[str]) -> T:
    """`settings` with each `KEY=VALUE` applied; values are JSON, or plain words.

    Raises:
        SettingError: A key or a value is wrong; the message says what exists.
    """
    tree = msgspec.to_builtins(settings)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise SettingError(f"{change!r} is not KEY=VALUE")
        _put(tree, key.strip(), _value(value.strip()), settings)
    try:
        return msgspec.convert(tree, type(settings))
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingError(f"{', '.join(changes)}: {error}") from error


def _put(tree: dict[str, Any], key: str, value: Any, settings: Any) -> None:
    *path, last = key.split(".")
    branch: Any = tree
    for name in path:
        branch = branch.get(name) if isinstance(branch, dict) else None
    if not isinstance(branch, dict) or last not in branch:
        raise SettingError(f"no setting {key!r}; settings: {', '.join(_keys(settings))}")
    branch[last] = value


def _keys(settings: Any, prefix: str = "") -> list[str]:
    """Every key of a tree, dotted."""
    found = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found += _keys(value, f"{prefix}{field.name}.")
        else:
            found.append(prefix + field.name)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
