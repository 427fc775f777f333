"""How a leader arm's joints map to a follower's: a section `[leader]` of TOML, as typed values.

```toml
[leader]
start_rad = 0.8                 # farthest the arms may be apart when the leader takes over
[[leader.joints]]
leader = "left_1"               # as the leader device calls it
follower = "openarm_left_joint1"
sign = -1                       # follower = sign * scale * leader + offset
offset = 1.5708                 # [rad], as `calibration.leader` estimates it
scale = 1.0
[leader.grippers.left]
leader = "left_trigger"
open = 0.0                      # leader's value when the gripper shall be open
closed = 1.1
```
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from retarget.errors import LeaderConfigError
from retarget.rig import Rig


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base: keys are checked."""


class LeaderJoint(_Strict, frozen=True):
    """One joint of a leader and the one that follows it.

    Attributes:
        leader: Name in the leader's readings.
        follower: Joint of the rig.
        sign: 1, or -1 where they turn the other way.
        offset: Follower's position when the leader's is 0 [rad].
        scale: Follower's motion per leader's.
    """

    leader: str
    follower: str
    sign: Literal[1, -1] = 1
    offset: float = 0.0
    scale: float = 1.0


class LeaderGripper(_Strict, frozen=True):
    """A leader's trigger or handle that works a gripper.

    Attributes:
        leader: Name in the leader's readings.
        open: Its value for an open gripper.
        closed: Its value for a closed one.
    """

    leader: str
    open: float
    closed: float


class _File(_Strict, frozen=True):
    """Keys of the section."""

    joints: tuple[LeaderJoint, ...] = ()
    grippers: dict[str, LeaderGripper] = {}
    start_rad: float = 0.8
    approach: float = 0.3


@dataclass(frozen=True, slots=True)
class LeaderConfig:
    """A leader and how it is followed.

    Attributes:
        joints: Every leader joint with its follower.
        grippers: Gripper channel by side.
        start_rad: Farthest any joint may be apart when the leader takes over [rad].
        approach: Share of the rig's limits used until the follower has caught up.

    Raises:
        LeaderConfigError: A joint is named twice, or a number makes no sense.
    """

    joints: tuple[LeaderJoint, ...]
    grippers: Mapping[str, LeaderGripper] = field(default_factory=dict)
    start_rad: float = 0.8
    approach: float = 0.3

    def __post_init__(self) -> None:
        object.__setattr__(self, "grippers", MappingProxyType(dict(self.grippers)))
        if not self.joints:
            raise LeaderConfigError("a leader needs at least one entry under [[leader.joints]]")
        for what, names in (("leader", self.channels), ("follower", self.followers)):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise LeaderConfigError(f"{what} joints named twice: {twice}")
        if not (self.start_rad > 0.0 and 0.0 < self.approach <= 1.0):
            raise LeaderConfigError(
                f"start_rad must be above 0 and approach within 0..1, got {self.start_rad} and "
                f"{self.approach}"
            )
        for gripper in self.grippers.values():
            if gripper.open == gripper.closed:
                raise LeaderConfigError(f"gripper {gripper.leader!r}: open equals closed")
        flat = [joint.leader for joint in self.joints if not joint.scale > 0]
        if flat:
            raise LeaderConfigError(f"scales must be above 0 (turn with sign = -1): {flat}")

    @property
    def channels(self) -> tuple[str, ...]:
        """Every value read of the leader: joints, then grippers."""
        joints = tuple(joint.leader for joint in self.joints)
        return joints + tuple(g.leader for g in self.grippers.values())

    @property
    def followers(self) -> tuple[str, ...]:
        """Follower joints, in the order of `joints`."""
        return tuple(joint.follower for joint in self.joints)

    def check(self, rig: Rig) -> None:
        """Whether it fits a rig.

        Raises:
            LeaderConfigError: A follower joint or gripper does not exist, is no joint of an arm,
                torso or head, or a limb is led in part only: the rest would stay behind.
        """
        known = [n for limb, joints in rig.limbs.items() if limb != "base" for n in joints]
        unknown = [name for name in self.followers if name not in known]
        if unknown:
            raise LeaderConfigError(
                f"rig {rig.name!r} has no joints {unknown} to be led; its joints: {known}"
            )
        for limb, joints in rig.limbs.items():
            missing = [name for name in joints if name not in self.followers]
            if missing and len(missing) < len(joints):
                raise LeaderConfigError(
                    f"the leader leads only some joints of {limb!r}; missing: {missing}"
                )
        sides = [side for side in self.grippers if side not in rig.gripper_names]
        if sides:
            raise LeaderConfigError(
                f"rig {rig.name!r} has no grippers {sides}; it has {list(rig.gripper_names)}"
            )

    @classmethod
    def from_section(cls, section: Mapping[str, Any], where: str = "[leader]") -> LeaderConfig:
        """From the keys of a `[leader]` section.

        Raises:
            LeaderConfigError: A key or a value is not understood.
        """
        try:
            file = msgspec.convert(dict(section), _File)
        except msgspec.ValidationError as error:
            raise LeaderConfigError(f"{where}: {error}") from error
        return cls(file.joints, {**file.grippers}, file.start_rad, file.approach)

    @classmethod
    def load(cls, path: Path) -> LeaderConfig:
        """From a TOML file with a section `[leader]`, such as a rig file.

        Raises:
            LeaderConfigError: There is no such file or section, or it is not understood.
        """
        try:
            document = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise LeaderConfigError(f"{path}: {error}") from error
        if "leader" not in document:
            raise LeaderConfigError(f"{path} has no section [leader]; it has {sorted(document)}")
        return cls.from_section(document["leader"], f"{path}: [leader]")


def one_to_one(names: Iterable[str]) -> tuple[LeaderJoint, ...]:
    """Joints of a leader built like its follower, with the same names."""
    return tuple(LeaderJoint(name, name) for name in names)
