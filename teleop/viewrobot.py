"""The robot in the Rerun viewer: its bodies, its limbs as asked, its targets, and a layout.

Entities: `robot/model/BODY` and `scene/BODY` (as measured), `robot/measured` and `robot/requested`
(limbs as lines), `targets/TIP` (axes: red x, green y, blue z); all in the robot root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget import Rig
from retarget.frames import pose_to_matrix
from teleop.bodyshapes import BodyShapes

AXIS_M = 0.08
"""Length of a target's axes."""
FIGURES = {"measured": (90, 170, 235), "requested": (235, 150, 60)}
"""Colour of the limbs."""
AXES = ((230, 60, 60), (60, 200, 90), (80, 120, 255))
EYE_M = (1.05, 0.6, 0.4)
"""The eye, seen from the middle between the tips: in front, to the left, above."""
Array = npt.NDArray[np.float64]


class RobotView:
    """Makes what a viewer shows of one rig.

    Args:
        rr: The `rerun` module.
        rig: The robot.
    """

    def __init__(self, rr: Any, rig: Rig) -> None:
        self._rr, self.rig = rr, rig
        self.shapes = BodyShapes(rig)

    def meshes(self) -> Iterable[tuple[str, Any]]:
        """Entity and surface of every body; sent once."""
        for entity, shape in zip(self.entities(), self.shapes.shapes, strict=True):
            yield (
                entity,
                self._rr.Mesh3D(
                    vertex_positions=shape.vertices,
                    vertex_normals=shape.normals,
                    vertex_colors=shape.colours,
                ),
            )

    def entities(self) -> list[str]:
        """Entity of each body, in the order of `shapes.shapes`."""
        return [
            f"robot/model/{shape.body}" if shape.is_robot else f"scene/{shape.body}"
            for shape in self.shapes.shapes
        ]

    def limbs(self, position: Array) -> list[Array]:
        """Lines of `robot/measured` or `robot/requested`: the points along each limb, (n, 3)."""
        return [points for points in self.rig.chains(position).values() if len(points) > 1]

    @staticmethod
    def axes(pose: Array | None) -> list[Array]:
        """Lines of `targets/TIP`: the axes of a pose, (7,) in the robot root; none for None."""
        if pose is None:
            return []
        T = pose_to_matrix(np.asarray(pose, float))
        return [np.array([T[:3, 3], T[:3, 3] + AXIS_M * T[:3, k]]) for k in range(3)]

    def layout(self, cameras: Iterable[str], fields: Mapping[str, Iterable[str]]) -> Any:
        """A `rerun.blueprint.Blueprint`: the robot, each camera, curves by limb, events.

        Args:
            cameras: Their names.
            fields: Entities of further curves by the name of their tab.
        """
        import rerun.blueprint as rrb

        tabs = {
            limb: [f"/joints/{kind}/{joint}" for joint in joints for kind in FIGURES]
            for limb, joints in self.rig.limbs.items()
        } | {name: list(entities) for name, entities in fields.items()}
        views = [rrb.Spatial2DView(origin=f"/cameras/{name}", name=name) for name in cameras]
        robot = rrb.Spatial3DView(
            origin="/",
            contents=["+ /robot/**", "+ /scene/**", "+ /targets/**"],
            name="robot",
            background=[24, 28, 36],
            eye_controls=self._eye(rrb),
        )
        top = rrb.Horizontal(robot, rrb.Grid(*views), column_shares=[1, 1]) if views else robot
        curves = rrb.Tabs(
            *(rrb.TimeSeriesView(origin="/", contents=[f"+ {e}" for e in entities], name=name)
              for name, entities in tabs.items() if entities)
        )  # fmt: skip
        bottom = rrb.Horizontal(
            curves, rrb.TextLogView(origin="/events", name="events"), column_shares=[3, 1]
        )
        return rrb.Blueprint(
            rrb.Vertical(top, bottom, row_shares=[3, 2]),
            rrb.SelectionPanel(state="collapsed"),
            rrb.BlueprintPanel(state="collapsed"),
            rrb.TimePanel(state="collapsed"),
            auto_views=False,
        )

    def styles(self) -> Iterable[tuple[str, Any]]:
        """How lines and curves are drawn; sent once. Requested joints are thin and bright."""
        strips = self._rr.LineStrips3D
        for kind, rgb in FIGURES.items():
            yield f"robot/{kind}", strips.from_fields(colors=[rgb], radii=[0.006])
        for tip in self.rig.tips:
            yield f"targets/{tip}", strips.from_fields(colors=AXES, radii=[0.004])
        for joints in self.rig.limbs.values():
            for k, joint in enumerate(joints):
                bright = _hue(k / max(len(joints), 1))
                for kind, width, shade in (("measured", 3.0, 0.6), ("requested", 1.0, 1.0)):
                    colour = [int(shade * c) for c in bright]
                    yield (
                        f"joints/{kind}/{joint}",
                        self._rr.SeriesLines(
                            colors=[colour], widths=[width], names=[f"{joint} {kind}"]
                        ),
                    )

    def _eye(self, rrb: Any) -> Any:
        tips = np.array([T[:3, 3] for T in self.rig.forward(self.rig.q_home).values()])
        target = tips.mean(axis=0)
        return rrb.EyeControls3D(
            kind=rrb.Eye3DKind.Orbital,
            position=target + np.array(EYE_M),
            look_target=target,
            eye_up=[0.0, 0.0, 1.0],
        )


def _hue(share: float) -> tuple[int, int, int]:
    """A bright colour of the wheel."""
    found = [
        int(255 * (0.35 + 0.65 * max(0.0, min(1.0, abs(((share + shift) % 1.0) * 6 - 3) - 1))))
        for shift in (0.0, 2 / 3, 1 / 3)
    ]
    return found[0], found[1], found[2]
