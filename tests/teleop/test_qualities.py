"""A rig says what a good take of it is."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import pytest

from recorder import Thresholds
from retarget import Rig
from teleop.qualities import CLEARANCE_M, QualityError, clearances_of, thresholds_of
from tests.retarget.conftest import cached_rig


def rig_with(section: dict[str, Any]) -> Rig:
    rig = cached_rig("openarm")
    return dataclasses.replace(rig, sections=MappingProxyType({"quality": section}))


def test_without_a_section_the_defaults_hold() -> None:
    assert thresholds_of(cached_rig("openarm")) == Thresholds()
    assert clearances_of(cached_rig("openarm")) == CLEARANCE_M


def test_what_a_rig_says_replaces_its_default_only() -> None:
    rig = rig_with({"rate_error": [0.1, 0.5], "jerk_rms": [9e3, False], "clearance_m": [0.01, 0]})
    found = thresholds_of(rig)
    assert found == dataclasses.replace(Thresholds(), rate_error=(0.1, 0.5), jerk_rms=(9e3, None))
    assert clearances_of(rig) == (0.01, 0.0)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"rate": [0.1, 0.5]}, "rate_error"),
        ({"rate_error": "high"}, "rate_error"),
        ({"rate_error": [0.1]}, "rate_error"),
    ],
)
def test_what_it_says_wrongly_is_named(section: dict[str, Any], words: str) -> None:
    with pytest.raises(QualityError, match=words):
        thresholds_of(rig_with(section))


def test_clearances_are_two_numbers() -> None:
    with pytest.raises(QualityError, match="clearance_m"):
        clearances_of(rig_with({"clearance_m": 0.1}))
