"""The headset page in a real Chromium with an emulated Quest 3, over a real WebSocket."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import simplejpeg
from playwright.sync_api import Page, expect
from scipy.spatial.transform import Rotation

from teleop import protocol
from teleop.hmd.hudmodel import two_lines
from teleop.hmd.openxr.panels import WristPanels
from teleop.samples import Button, Tracking
from tests.browser.fake_gateway import TOKEN, FakeGateway

pytestmark = pytest.mark.browser

MIN_RATE_HZ = 30
"""Alone, the page follows the display at 60 Hz; a busy machine is allowed half of that."""
ALL_TRACKED = Tracking.VALID | Tracking.TRACKED
ALL_CONTROLLERS = protocol.HEAD_BIT | protocol.LEFT_CONTROLLER_BIT | protocol.RIGHT_CONTROLLER_BIT
ALL_HANDS = protocol.HEAD_BIT | protocol.LEFT_HAND_BIT | protocol.RIGHT_HAND_BIT


@pytest.fixture
def immersive(headset: Page, gateway: FakeGateway) -> Page:
    """The page inside the immersive session, holding the claim, sending tracking."""
    # Software rendering pays by the pixel.
    headset.set_viewport_size({"width": 640, "height": 400})
    headset.goto(gateway.page("/xr"))
    enter(headset)
    gateway.wait_until(lambda: len(gateway.frames) > 5)
    return headset


def enter(page: Page) -> None:
    page.locator("#enter:enabled").wait_for()
    page.evaluate("document.querySelector('#enter').click()")


def next_frame(page: Page, gateway: FakeGateway, n: int = 3) -> Any:
    """A frame sampled after the emulated device was changed: `n` that began later, the last one.

    Frames on their way do not count, however many: a busy machine delivers them in bursts.
    """
    changed_ns = page.evaluate("performance.now()") * 1e6

    def later() -> list[Any]:
        return [frame for _, frame in gateway.frames[-200:] if frame["t_device_ns"] > changed_ns]

    gateway.wait_until(lambda: len(later()) >= n)
    return later()[-1]


def hud(page: Page) -> str:
    return page.locator("#hud-text").text_content() or ""


def receive_rate_hz(gateway: FakeGateway) -> float:
    start = len(gateway.frames)
    gateway.wait_until(lambda: len(gateway.frames) >= start + 90)
    times = [t for t, _ in gateway.frames[start:]]
    return (len(times) - 1) / (times[-1] - times[0])


def matrix(pose7: Any) -> np.ndarray[Any, Any]:
    T = np.eye(4)
    T[:3, 3] = pose7[:3]
    T[:3, :3] = Rotation.from_quat(pose7[3:]).as_matrix()
    return T


def as_pose(position: list[float], quat_xyzw: list[float]) -> np.ndarray[Any, Any]:
    return np.array([*position, *np.array(quat_xyzw) / np.linalg.norm(quat_xyzw)])


def place(page: Page, device: str, pose: np.ndarray[Any, Any]) -> None:
    page.evaluate(
        f"""pose => {{
            const device = window.xrDevice{device};
            device.position.set(...pose.slice(0, 3));
            device.quaternion.set(...pose.slice(3));
        }}""",
        pose.tolist(),
    )


# --- tracking -------------------------------------------------------------------------------------


@pytest.mark.system  # keeps real time
def test_controllers_are_sent_at_display_rate(immersive: Page, gateway: FakeGateway) -> None:
    rate_hz = receive_rate_hz(gateway)
    assert rate_hz >= MIN_RATE_HZ
    assert {int(frame["presence"]) for _, frame in gateway.frames} == {ALL_CONTROLLERS}


@pytest.mark.system  # keeps real time
def test_hands_are_sent_at_display_rate(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.primaryInputMode = 'hand'")
    gateway.wait_until(lambda: gateway.frames[-1][1]["presence"] == ALL_HANDS)
    assert receive_rate_hz(gateway) >= MIN_RATE_HZ
    assert gateway.frames[-1][1]["presence"] == ALL_HANDS


def test_sequence_and_device_time_increase(immersive: Page, gateway: FakeGateway) -> None:
    next_frame(immersive, gateway, 20)
    frames = [frame for _, frame in gateway.frames]
    assert np.all(np.diff([int(frame["seq"]) for frame in frames]) == 1)
    assert np.all(np.diff([int(frame["t_device_ns"]) for frame in frames]) > 0)


def test_head_pose_is_the_devices(immersive: Page, gateway: FakeGateway) -> None:
    pose = as_pose([0.1, 1.7, -0.2], [0.1, 0.3, -0.05, 0.9])
    place(immersive, "", pose)
    frame = next_frame(immersive, gateway)
    assert frame["head_flags"] == ALL_TRACKED
    np.testing.assert_allclose(matrix(frame["head"]), matrix(pose), atol=1e-4)


def test_controller_poses_are_the_devices(immersive: Page, gateway: FakeGateway) -> None:
    aims = {
        "left": as_pose([-0.3, 1.1, -0.45], [0.2, -0.4, 0.1, 0.8]),
        "right": as_pose([0.25, 0.9, -0.5], [-0.3, 0.1, 0.2, 0.7]),
    }
    for side, aim in aims.items():
        place(immersive, f".controllers.{side}", aim)
    frame = next_frame(immersive, gateway)
    for side, aim in aims.items():
        offset = immersive.evaluate(
            f"Array.from(IWER.metaQuest3.controllerConfig.layout.{side}.gripOffsetMatrix)"
        )
        T_aim_grip = np.array(offset).reshape(4, 4).T
        controller = frame[f"{side}_controller"]
        assert controller["flags"] & Tracking.VALID == Tracking.VALID
        np.testing.assert_allclose(matrix(controller["aim"]), matrix(aim), atol=1e-4)
        np.testing.assert_allclose(matrix(controller["grip"]), matrix(aim) @ T_aim_grip, atol=1e-4)


def test_guessed_position_is_marked(immersive: Page, gateway: FakeGateway) -> None:
    # The emulator calls every controller position emulated, unless told otherwise.
    guessed = Tracking.VALID | Tracking.ORIENTATION_TRACKED | Tracking.EMULATED
    assert next_frame(immersive, gateway)["left_controller"]["flags"] == guessed
    immersive.evaluate(
        "Object.defineProperty(XRPose.prototype, 'emulatedPosition', { get: () => false })"
    )
    assert next_frame(immersive, gateway)["left_controller"]["flags"] == ALL_TRACKED


def test_hand_joints_move_with_the_hand(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.primaryInputMode = 'hand'")
    start = as_pose([0.2, 1.2, -0.4], [0.0, 0.0, 0.0, 1.0])
    moved = as_pose([0.3, 1.0, -0.5], [0.1, 0.2, 0.3, 0.9])
    place(immersive, ".hands.right", start)
    before = next_frame(immersive, gateway)["right_hand"]
    place(immersive, ".hands.right", moved)
    after = next_frame(immersive, gateway)["right_hand"]
    assert after["flags"] == ALL_TRACKED | Tracking.PALM_DERIVED
    T_start_moved = matrix(moved) @ np.linalg.inv(matrix(start))
    for i in range(26):
        expected = T_start_moved @ matrix(before["joints"][i])
        np.testing.assert_allclose(matrix(after["joints"][i]), expected, atol=1e-4)
    assert np.all(after["radius"] > 0)


def test_palm_lies_on_the_middle_metacarpal(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.primaryInputMode = 'hand'")
    gateway.wait_until(lambda: gateway.frames[-1][1]["presence"] == ALL_HANDS)
    joints = next_frame(immersive, gateway)["left_hand"]["joints"]
    palm, metacarpal, proximal = joints[0], joints[11], joints[12]
    np.testing.assert_allclose(palm[:3], (metacarpal[:3] + proximal[:3]) / 2, atol=1e-6)
    np.testing.assert_array_equal(palm[3:], metacarpal[3:])


def test_each_button_sets_its_own_bit(immersive: Page, gateway: FakeGateway) -> None:
    buttons = [
        ("left", "trigger", Button.TRIGGER),
        ("right", "squeeze", Button.SQUEEZE),
        ("left", "thumbstick", Button.THUMBSTICK),
        ("right", "a-button", Button.PRIMARY),
        ("right", "b-button", Button.SECONDARY),
        ("left", "x-button", Button.PRIMARY),
        ("left", "y-button", Button.SECONDARY),
    ]
    for side, name, bit in buttons:
        controller = f"window.xrDevice.controllers.{side}"
        immersive.evaluate(f"{controller}.updateButtonValue('{name}', 1)")
        frame = next_frame(immersive, gateway)
        other = "right" if side == "left" else "left"
        assert frame[f"{side}_controller"]["buttons"] == bit, name
        assert frame[f"{other}_controller"]["buttons"] == 0, name
        immersive.evaluate(f"{controller}.updateButtonValue('{name}', 0)")
        assert next_frame(immersive, gateway)[f"{side}_controller"]["buttons"] == 0, name


def test_axes_arrive_as_numbers(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("""() => {
        const { left } = window.xrDevice.controllers;
        left.updateButtonValue('trigger', 0.25);
        left.updateButtonValue('squeeze', 0.75);
        left.updateAxes('thumbstick', 0.5, -1);
    }""")
    controller = next_frame(immersive, gateway)["left_controller"]
    assert controller["trigger"] == pytest.approx(0.25)
    assert controller["squeeze"] == pytest.approx(0.75)
    np.testing.assert_allclose(controller["thumbstick"], [0.5, 1.0])
    assert controller["buttons"] == Button.SQUEEZE


def test_missing_controller_is_absent(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.controllers.left.connected = false")
    gateway.wait_until(
        lambda: gateway.frames[-1][1]["presence"] == ALL_CONTROLLERS - protocol.LEFT_CONTROLLER_BIT
    )


def test_system_menu_ends_tracking(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.updateVisibilityState('visible-blurred')")
    hidden_ns = immersive.evaluate("performance.now()") * 1e6
    immersive.wait_for_timeout(500)
    shown_ns = immersive.evaluate("performance.now()") * 1e6
    immersive.evaluate("window.xrDevice.updateVisibilityState('visible')")
    gateway.wait_until(lambda: gateway.frames[-1][1]["t_device_ns"] > shown_ns)
    sampled_ns = np.array([int(frame["t_device_ns"]) for _, frame in gateway.frames])
    # The frame that was being made when the menu opened may still have gone out.
    assert ((sampled_ns > hidden_ns) & (sampled_ns < shown_ns)).sum() <= 1


def test_leaving_releases_the_robot(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("window.xrDevice.activeSession.end()")
    gateway.wait_until(lambda: gateway.received(protocol.Release))
    count = len(gateway.frames)
    expect(immersive.locator("#enter")).to_have_text("Enter VR")
    immersive.wait_for_timeout(200)
    assert len(gateway.frames) == count


# --- pictures and HUD -----------------------------------------------------------------------------


def test_pictures_are_decoded_and_acknowledged(immersive: Page, gateway: FakeGateway) -> None:
    wanted = {"head_left", "head_right", "wrist_left", "wrist_right"}
    gateway.wait_until(lambda: all(gateway.acks.get(name, 0) >= 3 for name in wanted))
    assert set(gateway.acks) == wanted


def test_h264_is_decoded_after_a_key_picture_was_asked_for(
    headset: Page, gateway: FakeGateway
) -> None:
    gateway.h264 = True
    headset.set_viewport_size({"width": 640, "height": 400})
    headset.goto(gateway.page("/xr"))
    enter(headset)
    gateway.wait_until(lambda: bool(gateway.received(protocol.Hello)))
    (hello,) = gateway.received(protocol.Hello)
    assert set(hello.codecs) == {"jpeg", "h264"}
    gateway.wait_until(lambda: gateway.keys_asked >= 1)
    asked = gateway.keys_asked
    wanted = {"head_left", "head_right", "wrist_left", "wrist_right"}
    gateway.wait_until(lambda: all(gateway.acks.get(name, 0) >= 10 for name in wanted))
    assert gateway.keys_asked <= asked + len(wanted), "once a stream, not for ever"
    for x in (160, 480):
        gateway.wait_until(lambda x=x: np.abs(screen(headset)[95, x] - [70, 90, 120]).max() <= 14)


def test_both_eyes_see_their_own_picture(immersive: Page, gateway: FakeGateway) -> None:
    gateway.wait_until(lambda: gateway.acks.get("head_right", 0) >= 3)
    sky = np.array([70, 90, 120])
    # Just under the picture's upper edge, in the middle of each half of the canvas.
    for x in (160, 480):
        gateway.wait_until(lambda x=x: np.abs(screen(immersive)[95, x] - sky).max() <= 12)
        assert screen(immersive)[40, x].max() < 40  # outside of the camera's angle


def test_a_picture_hangs_where_its_camera_looked(immersive: Page, gateway: FakeGateway) -> None:
    gateway.wait_until(lambda: gateway.acks.get("head_right", 0) >= 3)
    sky = np.array([70, 90, 120])

    def columns() -> np.ndarray[Any, Any]:
        row = screen(immersive)[95, :320].astype(int)
        return np.flatnonzero(np.abs(row - sky).max(axis=1) < 14)

    ahead = columns()
    (hello,) = gateway.received(protocol.Hello)
    assert hello.turns
    gateway.turn = (0.0, float(np.sin(0.15)), 0.0, float(np.cos(0.15)))  # 17 degrees to the left
    seen = gateway.acks["head_left"]
    gateway.wait_until(lambda: gateway.acks["head_left"] >= seen + 4)
    gateway.wait_until(lambda: columns().max() < ahead.max() - 20)
    assert columns().min() <= ahead.min()


def test_the_room_can_be_seen_around_the_picture(headset: Page, gateway: FakeGateway) -> None:
    headset.add_init_script(
        """const real = WebGL2RenderingContext.prototype.clearColor;
        WebGL2RenderingContext.prototype.clearColor = function (...rgba) {
          window.lastAlpha = rgba[3];
          return real.apply(this, rgba);
        };
        const ask = navigator.xr.requestSession.bind(navigator.xr);
        navigator.xr.requestSession = (mode, init) => {
          window.mode = mode;
          return ask(mode, init);
        };
        """
    )
    headset.goto(gateway.page("/xr"))
    headset.locator("#room").wait_for()
    headset.select_option("#room", "room")
    enter(headset)
    gateway.wait_until(lambda: len(gateway.frames) > 5)
    assert headset.evaluate("window.mode") == "immersive-ar"
    assert headset.evaluate("window.lastAlpha") == 0


def test_hud_shows_the_status(immersive: Page, gateway: FakeGateway) -> None:
    gateway.set_status(
        motion="engaged", engaged=(True, False), recording="recording", take=3, recording_s=67.0
    )
    gateway.wait_until(lambda: "Motion: ENGAGED (left)" in hud(immersive))
    text = hud(immersive)
    assert "REC  take 3  1:07" in text
    assert "Put the cube on the tray" in text
    for colour in ((31, 157, 85), (217, 45, 32)):  # engaged is green, recording is red
        gateway.wait_until(lambda c=colour: colour_count(screen(immersive), c) > 50)


def test_hud_shows_the_emergency_stop(immersive: Page, gateway: FakeGateway) -> None:
    before = colour_count(screen(immersive), (217, 45, 32))
    gateway.set_status(motion="estop")
    gateway.wait_until(lambda: "E-STOP" in hud(immersive))
    gateway.wait_until(lambda: colour_count(screen(immersive), (217, 45, 32)) > before + 1000)


def test_a_marker_shows_where_a_hand_must_be(immersive: Page, gateway: FakeGateway) -> None:
    amber = (217, 138, 0)
    before = colour_count(screen(immersive), amber)
    ghost = (0.1, 1.5, -0.6, 0.0, 0.0, 0.0, 1.0)
    far = protocol.AlignmentInfo(
        side="right", distance_m=0.2, angle_deg=5.0, direction="up", ghost=ghost
    )
    gateway.set_status(motion="aligning", clutch="absolute", alignment=(far,))
    gateway.wait_until(lambda: "Motion: ALIGNING" in hud(immersive))
    gateway.wait_until(lambda: colour_count(screen(immersive), amber) > before + 20)
    gateway.set_status(motion="engaged", alignment=())
    gateway.wait_until(lambda: "Motion: ENGAGED" in hud(immersive))
    gateway.wait_until(lambda: colour_count(screen(immersive), amber) <= before + 5)


def test_hud_shows_what_a_gesture_will_do(immersive: Page, gateway: FakeGateway) -> None:
    gesture = protocol.GestureInfo(text="Keep the pinch: start recording", share=0.5)
    gateway.set_status(input="hands", gesture=gesture)
    gateway.wait_until(lambda: "Keep the pinch: start recording 50 %" in hud(immersive))


def test_both_clients_break_long_offers_the_same_way(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(gateway.page("/xr"))
    texts = [
        "Keep the pinch: stop recording",
        "Right palm. Pinch index: success, middle: failure, ring: better, little: worse",
        "Left palm. Pinch index: discard, held: once more, middle: emergency stop",
        "x" * 80,
    ]
    broken = headset.evaluate(
        """async (texts) => {
            const { twoLines } = await import('/static/xr/hudmodel.js');
            return texts.map(twoLines);
        }""",
        texts,
    )
    assert broken == [two_lines(text) for text in texts]
    assert [len(lines) for lines in broken] == [1, 2, 2, 1]
    assert [" ".join(lines) for lines in broken] == texts, "no word is lost"
    assert max(len(line) for lines in broken[:3] for line in lines) <= 50, "they fit"


def test_hud_asks_for_the_outcome(immersive: Page, gateway: FakeGateway) -> None:
    last = protocol.LastTake(id="e", verdict="warn", reasons=("2 pictures late",))
    gateway.set_status(recording="review", review=True, last_take=last)
    gateway.wait_until(lambda: "A success, B failure, X discard" in hud(immersive))
    assert "2 pictures late" in hud(immersive)


def test_hud_shows_a_notice(immersive: Page, gateway: FakeGateway) -> None:
    gateway.send(protocol.Notice(level="warning", text="Cannot home: an arm is engaged."))
    gateway.wait_until(lambda: "Cannot home: an arm is engaged." in hud(immersive))


def test_haptics_reach_the_controller(immersive: Page, gateway: FakeGateway) -> None:
    immersive.evaluate("""() => {
        window.pulses = [];
        for (const source of window.xrDevice.activeSession.inputSources) {
            source.gamepad.hapticActuators[0].pulse = async (...pulse) => {
                window.pulses.push([source.handedness, ...pulse]);
            };
        }
    }""")
    gateway.send(protocol.Haptics(side="right", amplitude=0.5, duration_ms=40))
    gateway.wait_until(lambda: immersive.evaluate("window.pulses"))
    assert immersive.evaluate("window.pulses") == [["right", 0.5, 40]]


def test_another_operator_is_named(headset: Page, gateway: FakeGateway) -> None:
    gateway.holder = "Ada's Quest"
    headset.goto(gateway.page("/xr"))
    enter(headset)
    gateway.wait_until(lambda: "Ada's Quest has the robot" in hud(headset))
    assert gateway.frames == []


def screen(page: Page) -> np.ndarray[Any, Any]:
    """The page as seen, the emulated display included, (H, W, 3) uint8."""
    picture = page.screenshot(type="jpeg", quality=95)
    return np.asarray(simplejpeg.decode_jpeg(picture)).astype(int)


def colour_count(view: np.ndarray[Any, Any], rgb: tuple[int, int, int]) -> int:
    return int((np.abs(view - np.array(rgb)).max(axis=2) < 14).sum())


# --- link -----------------------------------------------------------------------------------------


def test_reconnect_resumes_the_session(immersive: Page, gateway: FakeGateway) -> None:
    first = gateway.received(protocol.Hello)[-1]
    assert (first.client, first.role, first.resume) == ("webxr", "operator", None)
    claims = len(gateway.received(protocol.Claim))
    gateway.drop_links()
    gateway.wait_until(lambda: len(gateway.received(protocol.Hello)) == 2)
    assert gateway.received(protocol.Hello)[-1].resume.startswith("session-")
    gateway.wait_until(lambda: len(gateway.received(protocol.Claim)) > claims)
    next_frame(immersive, gateway)


def test_hud_says_when_the_link_is_down(immersive: Page, gateway: FakeGateway) -> None:
    gateway.accepting = False
    gateway.drop_links()
    gateway.wait_until(lambda: "NO CONNECTION: The robot holds." in hud(immersive))
    gateway.accepting = True
    gateway.wait_until(lambda: "NO CONNECTION" not in hud(immersive))
    next_frame(immersive, gateway)


def test_wrong_token_is_said_and_can_be_corrected(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(gateway.page("/xr", token="wrong"))
    expect(headset.locator("#link")).to_have_text("Refused: Wrong access token.")
    headset.wait_for_timeout(600)
    assert len(gateway.received(protocol.Hello)) == 1  # trying again could not help
    headset.fill("#token", TOKEN)
    headset.click("#token-form button")
    expect(headset.locator("#link")).to_have_text("Connected")


def test_a_one_time_code_is_exchanged_for_the_token(headset: Page, gateway: FakeGateway) -> None:
    gateway.codes = {"AB23CD45"}
    headset.goto(f"http://localhost:{gateway.port}/xr#code=AB23CD45")
    headset.locator("#link[data-phase=open]").wait_for()
    assert headset.url.endswith(f"#token={TOKEN}"), "a reload needs no second code"
    assert gateway.codes == set()


def test_a_used_code_is_said_and_another_can_be_typed(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(f"http://localhost:{gateway.port}/xr#code=AB23CD45")
    headset.locator("#token-form:visible").wait_for()
    assert headset.get_by_text("wrong or used").is_visible(), "beside the question for a new one"
    headset.fill("#token", "xy67-zw89")
    gateway.codes = {"xy67zw89"}
    headset.click("#token-form button")
    headset.locator("#link[data-phase=open]").wait_for()


def test_token_survives_a_reload_without_fragment(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(gateway.page("/xr"))
    expect(headset.locator("#link")).to_have_text("Connected")
    headset.goto(gateway.page("/xr").split("#", maxsplit=1)[0] + "?again")
    expect(headset.locator("#link")).to_have_text("Connected")
    assert gateway.received(protocol.Hello)[-1].token == TOKEN


def test_emergency_stop_goes_by_socket_and_by_http(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(gateway.page("/xr"))
    expect(headset.locator("#link")).to_have_text("Connected")
    headset.click("#estop")
    gateway.wait_until(lambda: ("POST", "/api/session/estop", {}) in gateway.calls)
    gateway.wait_until(lambda: [e.name for e in gateway.received(protocol.Event)] == ["estop"])


# --- before XR ------------------------------------------------------------------------------------


def test_insecure_page_says_what_to_do(headset: Page, gateway: FakeGateway) -> None:
    headset.goto(gateway.page("/xr", host="robot.test"))
    assert headset.evaluate("isSecureContext") is False
    expect(headset.locator("#obstacle")).to_contain_text(f"https://robot.test:{gateway.port}/xr")
    expect(headset.locator("#obstacle")).to_contain_text(f"adb reverse tcp:{gateway.port}")
    expect(headset.locator("#enter")).to_be_disabled()


def test_browser_without_headset_says_so(page: Page, gateway: FakeGateway) -> None:
    page.goto(gateway.page("/xr"))
    expect(page.locator("#obstacle")).to_contain_text("no VR display")
    expect(page.locator("#enter")).to_be_disabled()


def test_page_asks_nobody_but_the_server(headset: Page, gateway: FakeGateway) -> None:
    urls: list[str] = []
    headset.on("request", lambda request: urls.append(request.url))
    headset.goto(gateway.page("/xr"))
    expect(headset.locator("#link")).to_have_text("Connected")
    assert len(urls) > 5
    assert all(url.startswith((f"http://localhost:{gateway.port}/", "data:")) for url in urls)


# --- modules --------------------------------------------------------------------------------------


def test_constants_mirror_python(page: Page, gateway: FakeGateway) -> None:
    page.goto(gateway.page("/xr"))
    module = page.evaluate("""async () => {
        const { Button, Codec, SUBPROTOCOL, Tracking } = await import('/static/xr/protocol.js');
        return { Button, Codec, SUBPROTOCOL, Tracking };
    }""")
    sent = [b for b in Button if b <= Button.MENU]  # the others are read from sticks
    assert module["Button"] == {b.name: b.value for b in sent}
    assert module["Codec"] == {c.name: c.value for c in protocol.Codec}
    assert module["SUBPROTOCOL"] == protocol.SUBPROTOCOL
    bits = {t.name: t.value for t in Tracking if t not in (Tracking.VALID, Tracking.TRACKED)}
    assert module["Tracking"] == bits


def test_every_combination_of_blocks_is_readable(page: Page, gateway: FakeGateway) -> None:
    page.goto(gateway.page("/xr"))
    messages = page.evaluate("""async () => {
        const { TrackingEncoder } = await import('/static/xr/protocol.js');
        const encoder = new TrackingEncoder();
        const pose = (x) => [x, 1, 2, 0, 0, 0, 1];
        const controller = { flags: 15, grip: pose(3), aim: pose(4), trigger: 0.5, squeeze: 1,
            stick: [-0.5, 0.25], buttons: 19 };
        const hand = { flags: 47, joints: Array.from({ length: 26 }, (_, i) => pose(i)),
            radii: Array.from({ length: 26 }, (_, i) => i / 1024) };
        return Array.from({ length: 32 }, (_, bits) => Array.from(encoder.encode(2 ** 32 - 1, 1.5, {
            head: bits & 1 ? { flags: 15, pose: pose(5) } : null,
            controllers: [bits & 2 ? controller : null, bits & 4 ? controller : null],
            hands: [bits & 8 ? hand : null, bits & 16 ? hand : null],
        })));
    }""")
    for presence, message in enumerate(messages):
        frame = protocol.decode_tracking(bytes(message), time.monotonic_ns())
        assert (frame["presence"], frame["seq"]) == (presence, 2**32 - 1)
        assert frame["t_device_ns"] == 1_500_000
        if presence & protocol.RIGHT_CONTROLLER_BIT:
            assert frame["right_controller"]["buttons"] == 19
            np.testing.assert_allclose(frame["right_controller"]["thumbstick"], [-0.5, 0.25])
        if presence & protocol.RIGHT_HAND_BIT:
            np.testing.assert_array_equal(frame["right_hand"]["joints"][:, 0], np.arange(26))
            np.testing.assert_array_equal(frame["right_hand"]["radius"], np.arange(26) / 1024)


def test_picture_fills_the_angle_its_camera_saw(page: Page, gateway: FakeGateway) -> None:
    page.goto(gateway.page("/xr"))
    model = page.evaluate("""async () => {
        const { angular } = await import('/static/xr/stereo.js');
        return Array.from(angular({ width: 640, height: 480, fovy_deg: 58 }, 2));
    }""")
    half_width, half_height, z = model[0], model[5], model[14]
    assert np.degrees(2 * np.arctan2(half_height, -z)) == pytest.approx(58)
    assert half_width / half_height == pytest.approx(640 / 480)


# --- voice ----------------------------------------------------------------------------------------

VOICES = """() => {
    window.spoken = [];
    const voices = [
        { name: "far", lang: "en-US", localService: false },
        { name: "near", lang: "en-GB", localService: true },
    ];
    class Utterance { constructor(text) { this.text = text; } }
    Object.defineProperty(window, "SpeechSynthesisUtterance", { value: Utterance });
    Object.defineProperty(window, "speechSynthesis", { value: {
        getVoices: () => voices,
        speak: (utterance) => window.spoken.push([utterance.voice.name, utterance.text]),
        cancel: () => window.spoken.push(["", "cancel"]),
    } });
}"""


def test_states_and_warnings_are_spoken_with_a_local_voice_until_switched_off(
    headset: Page, gateway: FakeGateway
) -> None:
    headset.add_init_script(f"({VOICES})()")
    headset.goto(gateway.page("/xr"))
    enter(headset)
    gateway.wait_until(lambda: len(gateway.frames) > 5)
    gateway.set_status(motion="engaged", engaged=(True, True))
    headset.wait_for_function("window.spoken.length >= 1")
    gateway.set_status(recording="recording", take=3)
    headset.wait_for_function("window.spoken.length >= 2")
    gateway.set_status(motion="hold", engaged=(False, False))
    gateway.send(protocol.Notice(level="warning", text="Its hand is not tracked."))
    gateway.send(protocol.Notice(level="info", text="Nothing of concern."))
    headset.wait_for_function("window.spoken.length >= 4")
    spoken = headset.evaluate("window.spoken")
    assert {voice for voice, _ in spoken} == {"near"}
    texts = [text for _, text in spoken]
    assert texts[0] == "Both arms."
    assert {"Recording take 3.", "Holding."} <= set(texts)
    assert any("not tracked" in text for text in texts)
    assert not any("concern" in text for text in texts)
    headset.select_option("#voice", "off")
    gateway.set_status(motion="estop")
    gateway.send(protocol.Notice(level="error", text="Stopped."))
    expect(headset.locator("#hud-text")).to_contain_text("Stopped.")
    assert len(headset.evaluate("window.spoken")) == len(spoken)


def test_answers_say_which_picture_was_seen_and_when(immersive: Page, gateway: FakeGateway) -> None:
    gateway.wait_until(lambda: gateway.acks.get("head_left", 0) >= 10)
    gateway.wait_until(lambda: "head_left" in gateway.shown)
    seen = gateway.acks["head_left"]
    gateway.wait_until(lambda: gateway.acks["head_left"] >= seen + 3)
    ack, _ = gateway.shown["head_left"]
    assert ack.shown_seq is not None and 0 <= ack.seq - ack.shown_seq < 30
    assert abs(ack.t_device_ns - ack.t_shown_ns) < 2e9, "both on the page's clock"


CLOCK = """async ({ driftPpm, jitterMs, seconds }) => {
  const { ClockFit } = await import("/static/xr/clock.js");
  const clock = new ClockFit();
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const host = (pageMs) => 5_000_000 + pageMs * (1 + driftPpm * 1e-6);
  const before = [clock.toHostMs(0), clock.errorMs, clock.rttMs];
  for (let k = 0; k < seconds; k += 1) {
    const sent = 1000 * k, there = 2 + jitterMs * random(), back = 2 + jitterMs * random();
    clock.add(sent, sent + there + back, host(sent + there));
  }
  const at = 1000 * seconds;
  const found = { before, error: clock.errorMs, drift: clock.driftPpm,
    off: clock.toHostMs(at) - host(at), age: clock.ageMs(host(at) - 30, at) };
  clock.reset();
  return { ...found, reset: clock.toHostMs(0) };
}"""


@pytest.mark.parametrize("drift_ppm", [0.0, 40.0, -80.0])
@pytest.mark.parametrize("jitter_ms", [0.0, 10.0])
def test_the_pages_clock_knows_offset_drift_and_how_sure_it_is(
    page: Page, gateway: FakeGateway, drift_ppm: float, jitter_ms: float
) -> None:
    page.goto(gateway.page("/xr"))
    arguments = {"driftPpm": drift_ppm, "jitterMs": jitter_ms, "seconds": 60}
    found = page.evaluate(CLOCK, arguments)
    assert found["before"] == [None, None, None]
    assert found["reset"] is None
    assert abs(found["off"]) <= found["error"] <= 14.0 + jitter_ms
    assert found["age"] == pytest.approx(30.0, abs=found["error"])
    if not jitter_ms:
        assert found["drift"] == pytest.approx(drift_ppm, abs=1.0)


# --- panels ---------------------------------------------------------------------------------------

PANELS = """async (steps) => {
  const { WristPanels } = await import("/static/xr/panels.js");
  const panels = new WristPanels();
  const vector = ([x, y, z, w]) => ({ x, y, z, w });
  return steps.map(({ head, aim, trigger, stick, allowed }) => {
    const pose = { position: vector(head.slice(0, 3)), orientation: vector(head.slice(3)) };
    const right = { aim, trigger, stickUp: stick };
    panels.update(pose, { left: null, right }, { left: 0.75, right: 0.75 }, allowed, 0.05);
    const cursor = panels.cursor && [panels.cursor.x, panels.cursor.y];
    const places = ["left", "right"].map((side) => panels.place(side))
      .map(({ right, down, width }) => [right, down, width]);
    return { pointed: panels.pointed, held: panels.held, cursor, places };
  });
}"""


def test_panels_move_as_in_the_native_client(page: Page, gateway: FakeGateway) -> None:
    rng = np.random.default_rng(5)
    native, steps, wanted = WristPanels("low"), [], []
    trigger = 0.0
    for k in range(400):
        head = np.array([*rng.normal(0, 0.02, 3), *Rotation.random(random_state=k % 7).as_quat()])
        at = np.array([0.6 * np.sin(k / 15), 0.4 + 0.2 * np.sin(k / 7)])
        trigger = float(np.clip(trigger + rng.choice([-0.45, 0.0, 0.45]), 0.0, 1.0))
        ahead = Rotation.from_quat(head[3:]).apply([np.tan(at[0]), -np.tan(at[1]), -1.0])
        turn, _ = Rotation.align_vectors([ahead / np.linalg.norm(ahead)], [[0, 0, -1]])
        aim = np.array([*head[:3], *turn.as_quat()])
        step = {"trigger": trigger, "stick": float(rng.uniform(-1, 1)), "allowed": k % 40 < 36}
        steps.append(step | {"head": head.tolist(), "aim": aim.tolist()})
        row = protocol.empty_frame()
        controller = row["right_controller"]
        controller["flags"], controller["aim"] = Tracking.VALID, aim
        controller["trigger"], controller["thumbstick"][1] = trigger, step["stick"]
        native.update(head, row, {"left": 0.75, "right": 0.75}, step["allowed"], 0.05)
        places = [native.place(side) for side in ("left", "right")]
        wanted.append((native.pointed, native.held, native.cursor, places))
    page.goto(gateway.page("/xr"))
    held = set()
    for found, (pointed, holds, cursor, places) in zip(
        page.evaluate(PANELS, steps), wanted, strict=True
    ):
        held.add(holds)
        assert (found["pointed"], found["held"]) == (pointed, holds)
        assert (found["cursor"] is None) == (cursor is None)
        if cursor is not None:
            np.testing.assert_allclose(found["cursor"], cursor, atol=1e-5)
        for ours, place in zip(found["places"], places, strict=True):
            assert place is not None
            np.testing.assert_allclose(ours, (place.right, place.down, place.width), atol=1e-5)
    assert held == {None, "left", "right"}, "the course moves both"


def test_a_wrist_picture_is_dragged_in_the_headset_and_stays_there(
    immersive: Page, gateway: FakeGateway
) -> None:
    gateway.wait_until(lambda: gateway.acks.get("wrist_right", 0) >= 2)

    def point(right: float, down: float, trigger: int) -> None:
        """From the head itself, which looks straight ahead."""
        turn = Rotation.from_euler("YX", [-right, -down]).as_quat().tolist()
        immersive.evaluate(
            """([turn, trigger]) => {
                const { position, controllers: { right } } = window.xrDevice;
                right.position.set(position.x, position.y, position.z);
                right.quaternion.set(...turn);
                right.updateButtonValue('trigger', trigger);
            }""",
            [turn, trigger],
        )
        next_frame(immersive, gateway)

    point(0.42, 0.4, 0)
    point(0.42, 0.4, 1)
    for share in np.linspace(0.0, 1.0, 8):
        point(0.42 - 0.5 * share, 0.4 - 0.3 * share, 1)
    point(-0.08, 0.1, 0)
    kept = immersive.evaluate("JSON.parse(window.localStorage.getItem('telecap.panels'))")
    assert kept["kind"] == "low"
    assert set(kept["moved"]) == {"right"}
    assert kept["moved"]["right"]["right"] == pytest.approx(-0.08, abs=0.06)
    assert kept["moved"]["right"]["down"] == pytest.approx(0.1, abs=0.06)
