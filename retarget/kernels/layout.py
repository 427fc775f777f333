"""One buffer for everything a tick works on: passing each array by itself costs more than the work.

`cut` makes the arrays of it in kernels, `cut_views` in Python.
"""

from __future__ import annotations

import math
from typing import Any

from numba import carray, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from retarget.compiling import jit
from retarget.frames import Array

SIZES = 8
"""How many numbers at the start of the integers say how large things are."""


def shaped(buffer: NDArray[Any], begin: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of this shape that begins at an element of the buffer."""
    return buffer[begin : begin + math.prod(shape)].reshape(shape)


@intrinsic  # type: ignore[untyped-decorator]
def _address(typing: Any, buffer: Any, begin: Any) -> Any:
    """A pointer to an element."""
    pointer = types.CPointer(buffer.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(buffer)(context, builder, arguments[0])
        return builder.gep(array.data, [arguments[1]])

    return pointer(buffer, types.intp), generate


@overload(shaped)  # type: ignore[untyped-decorator]
def _shaped(buffer: Any, begin: Any, shape: Any) -> Any:
    """The same in kernels, without counting references: those would take longer than the rest.

    Whoever calls a kernel holds the buffers while it runs.
    """

    def view(buffer: Any, begin: Any, shape: Any) -> Any:
        return carray(_address(buffer, begin), shape)

    return view


@jit
def cut(floats: Array, ints: NDArray[Any]) -> Any:  # noqa: PLR0915 (a list of arrays)
    """The arrays in the buffers, in groups.

    `ints` begins with the numbers of joints, grippers, tips, Pinocchio joints, capsules, pairs of
    capsules, boxes, and pairs with boxes.

    Returns:
        tree: parents, slides, still (joints,), fixed (joints, 3, 4), axes (joints, 3),
            M (joints, 3, 4), J (6, n), at (n,), see `kinematics.place_joints`.
        robot: box (4, n + g), effort (n,), posture (3, n), tip joints (tips,), tools (tips, 3, 4),
            chains (joints, n), arms (2, 4): joints of shoulder, elbow, wrist, and tip; base (3,).
        shapes: as in `retarget.shapes`.
        settings: governor (4,), posture (5,), damping (6,), repulsion (5,), swivel (4,).
        asked: flags (tips + 2,), T (tips, 3, 4), costs (tips, 2), elbows (2, 3), openings (g,),
            base velocity (3,).
        work: bounds (2, n + g), step (n + g,), reference (tips, 3, 4), A (6 tips + 2, n),
            e (6 tips + 2,), centre (n,), done (n,), H (n, n), g (n,), rows (pairs, n),
            room (pairs, 3), segments (capsules, 3, 3), active (n,), left (tips, 2),
            B (6 tips + 2, n), nearest pair (1,),
            and of the solver: L (n, n), inverses (n,), links, index, held (n,), y, low, high,
            x (n,).
    """
    n, grippers, tips, joints = ints[0], ints[1], ints[2], ints[3]
    capsules, pairs, boxes, box_pairs = ints[4], ints[5], ints[6], ints[7]
    x, rows, near = n + grippers, 6 * tips + 2, pairs + box_pairs

    i = 8
    tip_joints, i = shaped(ints, i, (tips,)), i + tips
    arms, i = shaped(ints, i, (2, 4)), i + 8
    base, i = shaped(ints, i, (3,)), i + 3
    chains, i = shaped(ints, i, (joints, n)), i + joints * n
    capsule_joints, i = shaped(ints, i, (capsules,)), i + capsules
    meeting, i = shaped(ints, i, (pairs, 2)), i + 2 * pairs
    beside, i = shaped(ints, i, (box_pairs, 2)), i + 2 * box_pairs
    active, i = shaped(ints, i, (n,)), i + n
    flags, i = shaped(ints, i, (tips + 2,)), i + tips + 2
    parents, i = shaped(ints, i, (joints,)), i + joints
    slides, i = shaped(ints, i, (joints,)), i + joints
    still, i = shaped(ints, i, (joints,)), i + joints
    hint = shaped(ints, i, (1,))

    f = 0
    box, f = shaped(floats, f, (4, x)), f + 4 * x
    effort, f = shaped(floats, f, (n,)), f + n
    posture, f = shaped(floats, f, (3, n)), f + 3 * n
    tools, f = shaped(floats, f, (tips, 3, 4)), f + 12 * tips
    ends, f = shaped(floats, f, (capsules, 2, 3)), f + 6 * capsules
    radii, f = shaped(floats, f, (capsules,)), f + capsules
    allowances, f = shaped(floats, f, (pairs,)), f + pairs
    poses, f = shaped(floats, f, (boxes, 3, 4)), f + 12 * boxes
    sizes, f = shaped(floats, f, (boxes, 3)), f + 3 * boxes
    spans, f = shaped(floats, f, (near,)), f + near
    rates, f = shaped(floats, f, (4,)), f + 4
    gains, f = shaped(floats, f, (5,)), f + 5
    damping, f = shaped(floats, f, (6,)), f + 6
    repulsion, f = shaped(floats, f, (5,)), f + 5
    swivel, f = shaped(floats, f, (4,)), f + 4
    T, f = shaped(floats, f, (tips, 3, 4)), f + 12 * tips
    costs, f = shaped(floats, f, (tips, 2)), f + 2 * tips
    elbows, f = shaped(floats, f, (2, 3)), f + 6
    openings, f = shaped(floats, f, (grippers,)), f + grippers
    velocity, f = shaped(floats, f, (3,)), f + 3
    bounds, f = shaped(floats, f, (2, x)), f + 2 * x
    step, f = shaped(floats, f, (x,)), f + x
    reference, f = shaped(floats, f, (tips, 3, 4)), f + 12 * tips
    A, f = shaped(floats, f, (rows, n)), f + rows * n
    e, f = shaped(floats, f, (rows,)), f + rows
    centre, f = shaped(floats, f, (n,)), f + n
    done, f = shaped(floats, f, (n,)), f + n
    H, f = shaped(floats, f, (n, n)), f + n * n
    g, f = shaped(floats, f, (n,)), f + n
    gradients, f = shaped(floats, f, (near, n)), f + near * n
    room, f = shaped(floats, f, (near, 3)), f + 3 * near
    segments, f = shaped(floats, f, (capsules, 3, 3)), f + 9 * capsules
    left, f = shaped(floats, f, (tips, 2)), f + 2 * tips
    packed, f = shaped(floats, f, (rows, n)), f + rows * n
    fixed, f = shaped(floats, f, (joints, 3, 4)), f + 12 * joints
    axes, f = shaped(floats, f, (joints, 3)), f + 3 * joints
    M, f = shaped(floats, f, (joints, 3, 4)), f + 12 * joints
    J, f = shaped(floats, f, (6, n)), f + 6 * n
    at = shaped(floats, f, (n,))

    f += n
    L, f = shaped(floats, f, (n, n)), f + n * n
    inverses, f = shaped(floats, f, (n,)), f + n
    y, f = shaped(floats, f, (n,)), f + n
    low, f = shaped(floats, f, (n,)), f + n
    high, f = shaped(floats, f, (n,)), f + n
    solution = shaped(floats, f, (n,))
    i += 1
    links, i = shaped(ints, i, (n,)), i + n
    index, i = shaped(ints, i, (n,)), i + n
    held = shaped(ints, i, (n,))

    qp = (L, inverses, links, index, held, y, low, high, solution)
    tree = (parents, slides, still, fixed, axes, M, J, at)
    robot = (box, effort, posture, tip_joints, tools, chains, arms, base)
    shapes = (capsule_joints, ends, radii, meeting, allowances, poses, sizes, beside, spans)
    settings = (rates, gains, damping, repulsion, swivel)
    asked = (flags, T, costs, elbows, openings, velocity)
    work = (bounds, step, reference, A, e, centre, done, H, g, gradients, room, segments, active,
            left, packed, hint, qp)  # fmt: skip
    return tree, robot, shapes, settings, asked, work


cut_views: Any = getattr(cut, "py_func", None)
"""The same for Python: NumPy views of the buffers."""


def lengths(sizes: list[int]) -> tuple[int, int]:
    """How long the buffers of these sizes are: floats, integers."""
    n, grippers, tips, joints, capsules, pairs, boxes, box_pairs = sizes
    x, rows, near = n + grippers, 6 * tips + 2, pairs + box_pairs
    floats = 4 * x + 4 * n + 12 * tips + 7 * capsules + pairs + 15 * boxes + near + 24
    floats += 14 * tips + 6 + grippers + 3
    floats += 3 * x + 12 * tips + rows * (n + 1) + 2 * n + n * n + n + near * (n + 3)
    floats += 9 * capsules + 2 * tips + rows * n
    ints = SIZES + tips + 11 + joints * n + capsules + 2 * pairs + 2 * box_pairs + n + tips + 2
    ints += 3 * joints + 1
    floats += 27 * joints + 7 * n
    floats += n * n + 5 * n
    ints += 3 * n
    return floats, ints


@jit
def recall(memory: Array, ints: NDArray[Any]) -> Any:
    """The arrays of a state, see `retarget.engine.State`.

    Returns:
        x (n + g,), step (n + g,), targets (tips, 3, 4), moves (tips, 6), opened (pairs,),
        activity (1,), left (tips, 2).
    """
    x, tips, near = ints[0] + ints[1], ints[2], ints[5] + ints[7]
    a, b = 2 * x, 2 * x + 12 * tips
    c = b + 6 * tips
    return (
        shaped(memory, 0, (x,)),
        shaped(memory, x, (x,)),
        shaped(memory, a, (tips, 3, 4)),
        shaped(memory, b, (tips, 6)),
        shaped(memory, c, (near,)),
        shaped(memory, c + near, (1,)),
        shaped(memory, c + near + 1, (tips, 2)),
    )
