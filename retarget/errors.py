"""What can go wrong in `retarget`, one class per cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def _listing(names: Iterable[str], limit: int = 60) -> str:
    """Names as a readable list, shortened when very long."""
    shown = list(names)
    more = f", … ({len(shown) - limit} more)" if len(shown) > limit else ""
    return "[" + ", ".join(repr(name) for name in shown[:limit]) + more + "]"


class RetargetError(Exception):
    """Base of every error of this package."""


class TargetError(RetargetError):
    """A target has the wrong shape or names a tip or gripper the rig has not."""


class ClutchError(RetargetError):
    """A clutch was asked for a target while it was not engaged."""


class TickError(RetargetError):
    """A tick was revised before any tick was made."""


class LeaderConfigError(RetargetError):
    """A leader's joints do not fit the rig, are named twice, or its file is not understood."""


class LeaderStartError(RetargetError):
    """A leader was to take over from too far away.

    Attributes:
        apart: How far the joints beyond the limit are from their leader, by follower's name [rad].
        limit_rad: How far they may be [rad].
    """

    def __init__(self, apart: Mapping[str, float], limit_rad: float) -> None:
        self.apart = dict(apart)
        self.limit_rad = limit_rad
        joints = ", ".join(f"{name} by {off:+.2f} rad" for name, off in apart.items())
        super().__init__(
            f"the leader is too far from the follower: {joints}; at most {limit_rad:g} rad. "
            "Bring the leader arm into the follower's posture"
        )


class RigError(RetargetError):
    """Base of every error of a robot description."""


class UnknownRigError(RigError):
    """No built-in rig has this name and no file this path.

    Attributes:
        name: What was asked for.
        known: The built-in rigs.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"no rig {name!r}: not a built-in rig and not a file; "
            f"built-in rigs: {_listing(self.known)}; a rig of your own is the path of a .toml file"
        )


class RigFileError(RigError):
    """A rig file is not TOML, lacks a key, or has a key or value that is not understood."""


class MissingModelPackageError(RigError):
    """The package that carries a robot's model is not installed.

    Attributes:
        package: Python package that was looked for.
        install: Shell command that installs it.
    """

    def __init__(self, rig: str, package: str, install: str) -> None:
        self.package = package
        self.install = install
        super().__init__(
            f"rig {rig!r} takes its model from the package {package!r}, which is not installed; "
            f"run: {install}"
        )


class ModelFileError(RigError):
    """A model file does not exist or cannot be compiled."""


class UnexpandedXacroError(RigError):
    """A model file is a xacro macro file, not a URDF."""


class NoJointsError(RigError):
    """A model has no joint that could be driven."""


class MissingMeshError(RigError):
    """A model refers to mesh files that do not exist, or to collision meshes no one can read.

    Attributes:
        meshes: The references, as written in the model.
    """

    def __init__(self, source: str, meshes: Iterable[str], reason: str) -> None:
        self.meshes = tuple(meshes)
        super().__init__(f"{source}: {reason}: {_listing(self.meshes, 12)}")


class UnknownNameError(RigError):
    """A rig file names a joint, body, actuator or keyframe that its model has not.

    Attributes:
        kind: `joint`, `body`, `top-level body`, `actuator`, `camera` or `keyframe`.
        name: The name that was not found.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"{where}: no {kind} {name!r} in the model; those it has: {_listing(self.known)}"
        )
