"""Sections of a rig file that say which model files make up the robot."""

from __future__ import annotations

from typing import Literal

import msgspec

Triple = tuple[float, float, float]
Quad = tuple[float, float, float, float]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every section: frozen, keys checked."""


class ModelSource(Section, frozen=True, kw_only=True):
    """Where a model file is.

    Attributes:
        path: Model file; in `package` when that is given, else relative to the rig file.
        package: Python package that carries the model; empty for a file of the user's own.
        distribution: Name of that package for pip.
        extra: Extra of this project that installs it; empty when it is a core dependency.
        hint: How to get a file that no package carries; said when it is missing.
        format: `auto` takes it from the root element of the file.
        package_dirs: Folders in which `package://NAME/…` of a URDF is looked up.
        drop_meshes: Names or patterns of meshes whose geoms are left out.
    """

    path: str
    package: str = ""
    distribution: str = ""
    extra: str = ""
    hint: str = ""
    format: Literal["auto", "mjcf", "urdf"] = "auto"
    package_dirs: tuple[str, ...] = ()
    drop_meshes: tuple[str, ...] = ()


class ModelSection(ModelSource, frozen=True, kw_only=True):
    """The model everything else is attached to.

    Attributes:
        base: `fixed` removes a floating base; `as_modelled` keeps it.
    """

    base: Literal["fixed", "as_modelled"] = "fixed"


class PlaceSection(Section, frozen=True):
    """Where a top-level body of an attached model stands, in that model's world.

    Attributes:
        position: Its origin [m].
        quat_xyzw: How it is turned.
    """

    position: Triple
    quat_xyzw: Quad = (0.0, 0.0, 0.0, 1.0)


class AttachSection(ModelSource, frozen=True, kw_only=True):
    """A further model, attached to a body: an arm on a stand, a hand on a wrist.

    Attributes:
        prefix: Put before every name of this model, so that two of a kind can be told apart.
        body: Body that carries it (`world` for a fixed one).
        position: Where its world origin goes, in that body [m].
        quat_xyzw: How it is turned there.
        place: Top-level bodies of the model that stand elsewhere than its file says.
    """

    prefix: str = ""
    body: str = "world"
    position: Triple = (0.0, 0.0, 0.0)
    quat_xyzw: Quad = (0.0, 0.0, 0.0, 1.0)
    place: dict[str, PlaceSection] = msgspec.field(default_factory=dict)


class BaseSection(Section, frozen=True, kw_only=True):
    """A base that drives about.

    Attributes:
        kind: `planar`: rolls on the floor.
        joints: Of `planar`: slide forward, slide left, turn to the left; in this order.
        effort: Joint motion the solver charges for, relative to 1 for the arms; large, so that
            arms do the reaching and the base goes where it is driven.
    """

    kind: Literal["planar"] = "planar"
    joints: tuple[str, str, str]
    effort: float = 1000.0
