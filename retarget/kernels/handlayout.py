"""One buffer for everything a tick of a hand works on; see `layout` for the reasons."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.layout import shaped

HAND_SIZES = 4
"""How many numbers at the start of the integers say how large things are."""


@jit
def cut_hand(floats: Array, ints: NDArray[Any]) -> Any:  # noqa: PLR0915 (a list of arrays)
    """The arrays in the buffers, in groups.

    `ints` begins with the numbers of driven joints, joints of the tree with its root, links, and
    terms.

    Returns:
        tree: as of `layout.cut`.
        hand: box (4, n), offset (joints - 1,), ratio (joints - 1,), driven joint of each
            (joints - 1,), joint of each link (links,), link in it (links, 3), which joints move a
            link (links, joints - 1), R_root_hand (3, 3).
        terms: links (terms, 2), human joints (terms, 2), kinds (terms,), pinches (terms, 2).
        settings: huber, rest, pinch, release, pinch weight, pinch gap, cross weight, cross gap,
            scale, enough, normalise (11,).
        work: joints (26, 3), shape (26, 3), bounds (2, n), step (n,), all joints (joints - 1,),
            links (links, 3), wanted (terms, 3), weights (terms,), row (3, n), H (n, n), g (n,),
            touched (n,), mark (n,), moved (n,), goal (n,), no openings (0,).
        qp: of `box_qp`.
    """
    n, joints, links, terms = ints[0], ints[1], ints[2], ints[3]
    nv = joints - 1

    i = 4
    parents, i = shaped(ints, i, (joints,)), i + joints
    slides, i = shaped(ints, i, (joints,)), i + joints
    still, i = shaped(ints, i, (joints,)), i + joints
    driven, i = shaped(ints, i, (nv,)), i + nv
    link_joints, i = shaped(ints, i, (links,)), i + links
    supports, i = shaped(ints, i, (links, nv)), i + links * nv
    pairs, i = shaped(ints, i, (terms, 2)), i + 2 * terms
    human, i = shaped(ints, i, (terms, 2)), i + 2 * terms
    kinds, i = shaped(ints, i, (terms,)), i + terms
    pinches, i = shaped(ints, i, (terms, 2)), i + 2 * terms
    touched, i = shaped(ints, i, (n,)), i + n
    mark, i = shaped(ints, i, (n,)), i + n
    chosen, i = shaped(ints, i, (n,)), i + n
    index, i = shaped(ints, i, (n,)), i + n
    held = shaped(ints, i, (n,))

    f = 0
    box, f = shaped(floats, f, (4, n)), f + 4 * n
    offset, f = shaped(floats, f, (nv,)), f + nv
    ratio, f = shaped(floats, f, (nv,)), f + nv
    points, f = shaped(floats, f, (links, 3)), f + 3 * links
    turn, f = shaped(floats, f, (3, 3)), f + 9
    settings, f = shaped(floats, f, (11,)), f + 11
    fixed, f = shaped(floats, f, (joints, 3, 4)), f + 12 * joints
    axes, f = shaped(floats, f, (joints, 3)), f + 3 * joints
    M, f = shaped(floats, f, (joints, 3, 4)), f + 12 * joints
    J, f = shaped(floats, f, (6, nv)), f + 6 * nv
    at, f = shaped(floats, f, (nv,)), f + nv
    seen, f = shaped(floats, f, (26, 3)), f + 78
    shape, f = shaped(floats, f, (26, 3)), f + 78
    bounds, f = shaped(floats, f, (2, n)), f + 2 * n
    step, f = shaped(floats, f, (n,)), f + n
    every, f = shaped(floats, f, (nv,)), f + nv
    placed, f = shaped(floats, f, (links, 3)), f + 3 * links
    wanted, f = shaped(floats, f, (terms, 3)), f + 3 * terms
    weights, f = shaped(floats, f, (terms,)), f + terms
    row, f = shaped(floats, f, (3, n)), f + 3 * n
    H, f = shaped(floats, f, (n, n)), f + n * n
    g, f = shaped(floats, f, (n,)), f + n
    moved, f = shaped(floats, f, (n,)), f + n
    goal, f = shaped(floats, f, (n,)), f + n
    L, f = shaped(floats, f, (n, n)), f + n * n
    inverses, f = shaped(floats, f, (n,)), f + n
    y, f = shaped(floats, f, (n,)), f + n
    low, f = shaped(floats, f, (n,)), f + n
    high, f = shaped(floats, f, (n,)), f + n
    solution, f = shaped(floats, f, (n,)), f + n
    openings = shaped(floats, f, (0,))

    tree = (parents, slides, still, fixed, axes, M, J, at)
    hand = (box, offset, ratio, driven, link_joints, points, supports, turn)
    compared = (pairs, human, kinds, pinches)
    work = (seen, shape, bounds, step, every, placed, wanted, weights, row, H, g, touched, mark,
            moved, goal, openings)  # fmt: skip
    return tree, hand, compared, settings, work, (
        L, inverses, chosen, index, held, y, low, high, solution,
    )  # fmt: skip


cut_hand_views: Any = getattr(cut_hand, "py_func", None)
"""The same for Python: NumPy views of the buffers."""


def hand_lengths(n: int, joints: int, links: int, terms: int) -> tuple[int, int]:
    """How long the buffers of these sizes are: floats, integers."""
    nv = joints - 1
    ints = HAND_SIZES + 3 * joints + nv + links + links * nv + 7 * terms + 5 * n
    floats = 4 * n + 2 * nv + 3 * links + 20 + 27 * joints + 7 * nv + 156 + 3 * n + nv
    floats += 3 * links + 4 * terms + 3 * n + n * n + 3 * n + n * n + 5 * n + 1
    return floats, ints
