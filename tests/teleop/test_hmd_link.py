"""The native client's link: never waits for the network, never gives up on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from teleop.hmd import client as hmd_client
from teleop.hmd.openxr import link as link_module
from teleop.hmd.openxr.link import Link
from teleop.hmd.openxr.pictures import Decoder
from teleop.protocol import Claim, Codec, Haptics, Hello, StreamInfo, VideoPicture, empty_frame
from tests.browser.fake_gateway import STREAMS, TOKEN, FakeGateway, checkered_picture


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    running = FakeGateway()
    running.start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmd_client, "RESUME_WITHIN_S", 0.3)
    monkeypatch.setattr(link_module, "RETRY_S", 0.1)
    monkeypatch.setattr(link_module, "RECLAIM_S", 0.2)


def until(wanted: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 10.0
    while not wanted():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def open_link(gateway: FakeGateway, token: str = TOKEN, **options: object) -> Link:
    return Link(f"http://localhost:{gateway.port}", token, device="test", **options)  # type: ignore[arg-type]


def offer(link: Link, seq: int) -> None:
    row = empty_frame()
    row["seq"], row["presence"] = seq, 1
    link.offer(row)


def test_rows_go_out_and_the_robot_is_claimed_pictures_come_in_and_are_acknowledged(
    gateway: FakeGateway,
) -> None:
    decoder = Decoder()
    with open_link(gateway, video=("head_left",), on_picture=decoder.offer) as link:
        decoder.on_decoded = link.acknowledge
        until(lambda: link.said.has_claim, "the claim")
        offer(link, 7)
        until(lambda: gateway.frames, "a row")
        assert int(gateway.frames[0][1]["seq"]) == 7
        until(lambda: gateway.acks.get("head_left", 0) >= 3, "acknowledgements")
        (picture,) = decoder.take()
        assert picture.rgb.shape == (480, 640, 3)
        assert link.said.status is not None
        assert link.said.status.task == gateway.status.task
    decoder.close()
    assert link.said.phase == "closed"


def test_wishes_to_vibrate_are_passed_on(gateway: FakeGateway) -> None:
    felt: list[Haptics] = []
    with open_link(gateway, on_haptics=felt.append) as link:
        until(lambda: link.said.phase == "open", "the connection")
        wish = Haptics(side="left", amplitude=0.5, duration_ms=20)
        gateway.send(wish)
        until(lambda: felt, "haptics")
    assert felt == [wish]


def test_an_interruption_resumes_the_session(gateway: FakeGateway) -> None:
    with open_link(gateway) as link:
        until(lambda: link.said.has_claim, "the claim")
        gateway.drop_links()
        until(lambda: len(gateway.received(Hello)) == 2, "a second hello")
        assert gateway.received(Hello)[1].resume is not None
        until(lambda: link.said.phase == "open" and link.said.has_claim, "the claim again")
        offer(link, 1)
        until(lambda: gateway.frames, "a row")


def test_a_server_that_is_long_away_is_found_again_and_meanwhile_it_is_said(
    gateway: FakeGateway,
) -> None:
    with open_link(gateway) as link:
        until(lambda: link.said.has_claim, "the claim")
        gateway.accepting = False
        gateway.drop_links()
        until(lambda: link.said.phase == "waiting" and not link.said.has_claim, "word of the loss")
        assert link.said.reason
        time.sleep(0.5)  # longer than a session can be resumed
        offer(link, 1)
        gateway.accepting = True
        until(lambda: link.said.has_claim, "the claim of a new session")
        offer(link, 2)
        until(lambda: any(int(row["seq"]) == 2 for _, row in gateway.frames), "rows again")


def test_a_robot_that_is_taken_is_asked_for_until_it_is_free(gateway: FakeGateway) -> None:
    gateway.holder = "Quest"
    with open_link(gateway) as link:
        until(lambda: link.said.holder == "Quest", "word of the other operator")
        gateway.holder = None
        until(lambda: link.said.has_claim, "the claim")
        assert link.said.holder is None
        assert len(gateway.received(Claim)) >= 2


def test_a_wrong_token_is_said_and_not_tried_again(gateway: FakeGateway) -> None:
    with open_link(gateway, token="wrong") as link:
        until(lambda: link.said.phase == "refused", "a refusal")
        time.sleep(0.4)
    assert len(gateway.received(Hello)) == 1


def test_a_stalled_network_costs_rows_not_frames(gateway: FakeGateway) -> None:
    """Offered faster than the loop runs, the newest row is sent and the others are counted."""
    with open_link(gateway) as link:
        until(lambda: link.said.has_claim, "the claim")
        held = threading.Event()
        link._loop.call_soon_threadsafe(held.wait, 5.0)  # the network's thread is busy
        for seq in range(1, 101):
            offer(link, seq)
        held.set()
        until(lambda: gateway.frames, "a row")
        until(lambda: int(gateway.frames[-1][1]["seq"]) == 100, "the newest row")
        assert link.replaced + len(gateway.frames) == 100
        assert link.replaced > 90


def test_of_pictures_that_wait_the_newest_is_decoded_and_broken_ones_are_counted() -> None:
    decoder, answered = Decoder(), []
    gate = threading.Event()

    def on_decoded(name: str, seq: int, key: bool) -> None:
        assert not key
        answered.append((name, seq))
        gate.wait(5.0)

    decoder.on_decoded = on_decoded
    stream: StreamInfo = STREAMS[0]

    def picture(seq: int, payload: bytes) -> VideoPicture:
        return VideoPicture(0, Codec.JPEG, True, seq, 0, payload)

    good = checkered_picture(stream, 0)
    decoder.offer(picture(0, good), stream)
    until(lambda: answered, "the first")
    for seq in range(1, 5):
        decoder.offer(picture(seq, good), stream)
    decoder.offer(picture(5, b"not a picture"), stream)
    gate.set()
    until(lambda: len(answered) == 2, "the newest")
    assert answered == [("head_left", 0), ("head_left", 5)]
    assert (decoder.decoded, decoder.skipped, decoder.failed) == (1, 4, 1)
    decoder.close()
