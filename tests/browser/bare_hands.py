"""Gestures for the emulator's hands, which know an open hand and an index pinch only."""

from __future__ import annotations

from playwright.sync_api import Page

INSTALL = """
() => {
    const space = (joint) => joint[Object.getOwnPropertySymbols(joint)
        .find((symbol) => joint[symbol]?.offsetMatrix)];
    window.handShapes = { left: "open", right: "open" };
    for (const side of ["left", "right"]) {
        const hand = window.xrDevice.hands[side];
        const update = Object.getPrototypeOf(hand).updateHandPose;
        const joints = hand.inputSource.hand;
        const put = (joint, beside) => {
            const at = space(joints.get(beside)).offsetMatrix;
            space(joints.get(joint)).offsetMatrix.set(at.slice(12, 15), 12);
        };
        hand.updateHandPose = function () {
            update.call(this);
            if (window.handShapes[side] === "middle") put("middle-finger-tip", "thumb-tip");
            if (window.handShapes[side] === "index") put("index-finger-tip", "thumb-tip");
            if (window.handShapes[side] === "ring") put("ring-finger-tip", "thumb-tip");
            if (window.handShapes[side] === "fist") {
                for (const finger of ["index", "middle", "ring", "pinky"]) {
                    put(`${finger}-finger-tip`, `${finger}-finger-metacarpal`);
                }
            }
        };
    }
    window.xrDevice.primaryInputMode = "hand";
}
"""


class BareHands:
    """Both hands of the person in the emulated headset.

    Args:
        page: Page with the emulator installed.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        page.evaluate(INSTALL)

    def shape(self, side: str, name: str) -> None:
        """Make a hand "open", pinch "index", "middle" or "ring", or a "fist"."""
        self.page.evaluate("([side, name]) => { window.handShapes[side] = name; }", [side, name])

    def place(
        self,
        side: str,
        position: tuple[float, float, float],
        quat_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
    ) -> None:
        """Put a hand somewhere at once."""
        self.page.evaluate(
            """([side, p, q]) => {
                window.xrDevice.hands[side].position.set(...p);
                window.xrDevice.hands[side].quaternion.set(...q);
            }""",
            [side, list(position), list(quat_xyzw)],
        )

    def move(self, side: str, by: tuple[float, float, float], seconds: float) -> None:
        """Move a hand evenly."""
        self.page.evaluate(
            """([side, by, ms]) => new Promise((done) => {
                const { position } = window.xrDevice.hands[side];
                const from = [position.x, position.y, position.z];
                const start = performance.now();
                const timer = setInterval(() => {
                    const k = Math.min(1, (performance.now() - start) / ms);
                    position.set(...from.map((p, i) => p + k * by[i]));
                    if (k === 1) { clearInterval(timer); done(); }
                }, 8);
            })""",
            [side, list(by), seconds * 1000],
        )
