"""The rig file: its sections as typed values, read strictly from TOML.

`retarget` reads the sections below. Every other section (adapter, bindings, operator, task, …)
is passed on untouched as `RigFile.sections`.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from retarget.errors import RigFileError, UnknownRigError
from retarget.handfile import HandSection
from retarget.modelsections import (
    AttachSection,
    BaseSection,
    ModelSection,
    Quad,
    Section,
    Triple,
)

RIGS_DIR = Path(__file__).parent / "rigs"


class TipSection(Section, frozen=True):
    """A frame to be steered, fixed in a body: the tool centre point of a hand, or the eyes.

    Attributes:
        site: Name of the MuJoCo site made for it.
        body: Body that carries it.
        offset: Origin in the body's frame [m].
        quat_xyzw: Rotation in the body's frame.
    """

    site: str
    body: str
    offset: Triple = (0.0, 0.0, 0.0)
    quat_xyzw: Quad = (0.0, 0.0, 0.0, 1.0)


class LimbSection(Section, frozen=True):
    """An arm, or the head: its joints, and the tip they move.

    Attributes:
        joints: Joint names, from the base outwards.
        tip: The frame to be steered.
        elbow: Joint whose origin is the elbow; empty where the swivel is not to be steered.
        reach_m: Shoulder to tip with the arm straight [m]; computed when left out.
    """

    joints: tuple[str, ...]
    tip: TipSection
    elbow: str = ""
    reach_m: float | None = None


class TorsoSection(Section, frozen=True):
    """Joints that carry all limbs.

    Attributes:
        joints: Joint names, from the base outwards.
        effort: Joint motion the solver charges for, relative to 1 for the arms.
    """

    joints: tuple[str, ...]
    effort: float = 10.0


class HomeSection(Section, frozen=True):
    """The start posture.

    Attributes:
        keyframe: Keyframe of the model to start from; empty starts from its zero posture.
        joints: Joint values that differ from it [rad or m].
    """

    keyframe: str = ""
    joints: dict[str, float] = msgspec.field(default_factory=dict)


class LimitsSection(Section, frozen=True):
    """Limits of motion; keys are joint names or patterns such as `*_joint[1-4]`.

    Attributes:
        velocity: [rad/s or m/s].
        acceleration: [rad/s² or m/s²].
        margin: Distance kept from the model's joint stops [rad or m].
    """

    velocity: dict[str, float] = msgspec.field(default_factory=dict)
    acceleration: dict[str, float] = msgspec.field(default_factory=dict)
    margin: float = 0.0


class GripperSection(Section, frozen=True):
    """A gripper with one motor.

    Attributes:
        joint: Joint the motor drives.
        actuator: MuJoCo actuator of that joint.
        open: Joint value when open [rad or m].
        closed: Joint value when closed.
        home: Opening at home, 0 closed to 1 open.
        velocity: Limit of the opening's speed [1/s].
        acceleration: Limit of the opening's acceleration [1/s²].
        ctrl_open: Control of the actuator that opens it; left out, it takes joint values.
        ctrl_closed: Control of the actuator that closes it.
    """

    joint: str
    actuator: str
    open: float
    closed: float
    home: float = 1.0
    velocity: float = 5.0
    acceleration: float = 150.0
    ctrl_open: float | None = None
    ctrl_closed: float | None = None


class CameraSection(Section, frozen=True):
    """A camera of the rig; `body` and `position` add one to the model.

    Attributes:
        name: Stream name.
        mujoco_name: Camera in the model; the stream name when left out.
        width: Native width [px].
        height: Native height [px].
        eye: `left` or `right` for the operator's stereo view.
        body: Body to mount a new camera on (`world` for a fixed one).
        position: Its position in that body [m].
        x_axis: Image right, in the body's frame.
        y_axis: Image up, in the body's frame.
        fovy_deg: Vertical field of view of a new camera [deg].
        codec: How its pictures are recorded.
        depth_unit_m: What a step of a `depth` camera is [m].
    """

    name: str
    mujoco_name: str = ""
    width: int = 640
    height: int = 480
    eye: Literal["left", "right", ""] = ""
    body: str = ""
    position: Triple | None = None
    x_axis: Triple = (0.0, -1.0, 0.0)
    y_axis: Triple = (0.0, 0.0, 1.0)
    fovy_deg: float = 60.0
    codec: Literal["jpeg", "png", "h264", "depth"] = "jpeg"
    depth_unit_m: float = 0.001


class SceneSection(Section, frozen=True):
    """What stands around a simulated robot.

    Attributes:
        file: MJCF file with objects, lights and cameras, relative to the rig file.
        ambient: Ambient brightness of the headlight, 0..1; left out keeps the model's.
        diffuse: Diffuse brightness of the headlight, 0..1; left out keeps the model's.
        lights: Diffuse brightness of the model's own lights, 0..1; left out keeps the model's.
    """

    file: str = ""
    ambient: float | None = None
    diffuse: float | None = None
    lights: float | None = None


class CollisionSection(Section, frozen=True):
    """Which geoms collide.

    Attributes:
        groups: Geom groups that are made to collide though the model says otherwise.
        ignore: Pairs of body names that never count.
        contact: Bodies made to touch things, such as fingers; names or patterns. They are kept
            off the robot, but not off each other or what stands around.
    """

    groups: tuple[int, ...] = ()
    ignore: tuple[tuple[str, str], ...] = ()
    contact: tuple[str, ...] = ()


class ObstacleSection(Section, frozen=True):
    """A box that stands around the robot and that it keeps off: a table, a wall.

    Attributes:
        name: Name for messages.
        center: Its middle in the robot root [m].
        size: Length of its sides [m].
        quat_xyzw: Its rotation.
    """

    name: str
    center: Triple
    size: Triple
    quat_xyzw: Quad = (0.0, 0.0, 0.0, 1.0)


class RigFile(Section, frozen=True, kw_only=True):
    """A whole rig file.

    Attributes:
        name: Name of the rig.
        description: One line for lists.
        model: Where the robot's model is.
        attach: Further models, attached to it in this order.
        base: How the robot drives about, when it does.
        arms: `left` and/or `right`; a rig may have hands alone.
        torso: Waist, when it is driven.
        head: Neck, when there is one.
        locked: Joints that are not driven, and where they stay; all others stay at home.
        home: Start posture.
        posture: Where redundant joints like to be; home for joints not named.
        limits: Velocity and acceleration.
        grippers: `left` and/or `right`.
        hands: Hands with fingers, `left` and/or `right`.
        cameras: Cameras of the rig.
        scene: What stands around a simulated robot.
        collision: Which geoms collide.
        obstacles: Boxes the robot keeps off, beside those of its model.
        sections: Sections `retarget` does not read.
    """

    name: str
    description: str = ""
    model: ModelSection
    attach: tuple[AttachSection, ...] = ()
    base: BaseSection | None = None
    arms: dict[Literal["left", "right"], LimbSection] = msgspec.field(default_factory=dict)
    torso: TorsoSection | None = None
    head: LimbSection | None = None
    locked: dict[str, float] = msgspec.field(default_factory=dict)
    home: HomeSection = HomeSection()
    posture: dict[str, float] = msgspec.field(default_factory=dict)
    limits: LimitsSection = msgspec.field(default_factory=LimitsSection)
    grippers: dict[Literal["left", "right"], GripperSection] = msgspec.field(default_factory=dict)
    hands: dict[Literal["left", "right"], HandSection] = msgspec.field(default_factory=dict)
    cameras: tuple[CameraSection, ...] = ()
    scene: SceneSection = SceneSection()
    collision: CollisionSection = CollisionSection()
    obstacles: tuple[ObstacleSection, ...] = ()
    sections: dict[str, Any] = msgspec.field(default_factory=dict)


_OWN_KEYS = tuple(key for key in RigFile.__struct_fields__ if key != "sections")


def builtin_rigs() -> tuple[str, ...]:
    """Names of the rigs that are shipped."""
    return tuple(sorted(path.stem for path in RIGS_DIR.glob("*.toml")))


def find_rig(name: str | Path) -> Path:
    """Path of a built-in rig, or of a user's own file.

    Raises:
        UnknownRigError: Neither exists.
    """
    text = str(name)
    builtin = RIGS_DIR / f"{text}.toml"
    if text in builtin_rigs():
        return builtin
    path = Path(text).expanduser()
    if path.suffix == ".toml" and path.is_file():
        return path.resolve()
    raise UnknownRigError(text, builtin_rigs())


def read_rig(path: Path) -> RigFile:
    """Read one rig file.

    Raises:
        RigFileError: It is not TOML, a key is unknown or missing, or a value has the wrong type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RigFileError(f"{path}: not a TOML file: {error}") from error
    own = {key: value for key, value in content.items() if key in _OWN_KEYS}
    others = {key: value for key, value in content.items() if key not in _OWN_KEYS}
    for key in others:
        close = difflib.get_close_matches(key, _OWN_KEYS, n=1, cutoff=0.8)
        if close:
            raise RigFileError(f"{path}: unknown section {key!r}; did you mean {close[0]!r}?")
    try:
        return msgspec.convert({**own, "sections": others}, RigFile)
    except msgspec.ValidationError as error:
        raise RigFileError(f"{path}: {error}; {_known_keys(str(error))}") from error


def _known_keys(message: str) -> str:
    """The keys the section that `message` complains about may have."""
    sections: dict[str, type[Section]] = {
        "tip": TipSection,
        "model": ModelSection,
        "attach": AttachSection,
        "base": BaseSection,
        "arms": LimbSection,
        "head": LimbSection,
        "torso": TorsoSection,
        "home": HomeSection,
        "limits": LimitsSection,
        "grippers": GripperSection,
        "cameras": CameraSection,
        "scene": SceneSection,
        "collision": CollisionSection,
        "obstacles": ObstacleSection,
    }
    place = message.rpartition("`$")[2]
    for name, section in sections.items():
        if name in place:
            return f"keys of [{name}]: {', '.join(section.__struct_fields__)}"
    return f"sections of a rig file: {', '.join(_OWN_KEYS)}"
