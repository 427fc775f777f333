"""The sections of a rig file that describe dexterous hands."""

from __future__ import annotations

from typing import Literal

import msgspec

from retarget.modelsections import Section, Triple

Objective = Literal["vector", "position", "dexpilot"]
Finger = Literal["thumb", "index", "middle", "ring", "little"]


class LinkSection(Section, frozen=True):
    """A point of the hand that corresponds to a human joint.

    Attributes:
        body: Body that carries it.
        offset: Point in the body's frame [m].
    """

    body: str
    offset: Triple = (0.0, 0.0, 0.0)


class VectorSection(Section, frozen=True):
    """A difference of two points, of the human hand and of the robot's.

    Attributes:
        human: Start and end, joints in OpenXR's order with the palm (0 to 25).
        robot: Start and end, names of links.
        pinch: Whether the ends are made to meet when the human's nearly do.
    """

    human: tuple[int, int]
    robot: tuple[str, str]
    pinch: bool = False


class HandSection(Section, frozen=True):
    """A hand with fingers.

    Attributes:
        palm: Body in whose frame the hand is described.
        forward: From the wrist to the knuckles, in the palm's frame.
        thumb: From the little finger's knuckle to the index finger's, in the palm's frame.
        joints: Driven joints.
        links: Points that correspond to human joints, by name.
        base: Link that stands for the human wrist.
        tips: Link of each finger's tip.
        objective: What is compared, see `retarget.handterms`.
        vectors: What the objective `vector` compares; from the base to each tip when empty.
        velocity: Limit of every joint [rad/s].
        acceleration: Limit of every joint [rad/s²].
        scale: Robot hand / human hand of an average adult.
        mimic: Joint: (driven joint, ratio, offset); joints the model's equalities leave out.
        home: Joint values of the open hand that the model's keyframe has otherwise [rad].
        closed: Joint values of the closed hand, for triggers [rad]; joints left out stay at home.
    """

    palm: str
    forward: Triple
    thumb: Triple
    joints: tuple[str, ...]
    links: dict[str, LinkSection]
    base: str
    tips: dict[Finger, str]
    objective: Objective = "vector"
    vectors: tuple[VectorSection, ...] = ()
    velocity: float = 8.0
    acceleration: float = 200.0
    scale: float = 1.0
    mimic: dict[str, tuple[str, float, float]] = msgspec.field(default_factory=dict)
    home: dict[str, float] = msgspec.field(default_factory=dict)
    closed: dict[str, float] = msgspec.field(default_factory=dict)
