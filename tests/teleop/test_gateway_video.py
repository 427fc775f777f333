"""The way of a picture to a client: newest first, never queued, as small as the link asks for."""

from __future__ import annotations

import av
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop.cameras.base import Picture as CameraPicture
from teleop.cameras.encoding import PictureEncoder
from teleop.cameras.sources import draw_number, read_number
from teleop.config import CameraConfig
from teleop.gateway.journey import KEPT, Journeys
from teleop.gateway.outbox import MAX_RUN, MAX_TEXTS, Encode, Outbox
from teleop.gateway.pictures import Offer, StreamDecoder, offer_of
from teleop.gateway.transcode import Transcoder
from teleop.gateway.videoflow import ACK_PATIENCE_NS, MAX_ON_WAY, VideoFlow
from teleop.gateway.videolevel import (
    DOWN_EVERY_NS,
    H264,
    JPEG,
    SOURCE,
    UP_AFTER_NS,
    Level,
    LevelControl,
)
from teleop.hmd.openxr.pictures import H264Decoder
from teleop.protocol import Codec, VideoPicture, decode_video

MS = 1_000_000
S = 1_000 * MS


def picture(seq: int, payload: bytes = b"x", stream_id: int = 0) -> VideoPicture:
    return VideoPicture(stream_id, Codec.JPEG, True, seq, 1000 * seq, payload)


def seq_of(message: object) -> int:
    assert isinstance(message, bytes)
    return decode_video(message).seq


# ------------------------------------------------------------------ outbox


def test_texts_go_first_and_in_order_status_and_pictures_are_replaced() -> None:
    box = Outbox()
    box.put_picture("left", Offer(picture(1)))
    box.put_picture("left", Offer(picture(2)))
    box.put_status("stale")
    box.put_status("status")
    box.put_text("a")
    box.put_text("b")
    assert [box.take(0) for _ in range(3)] == ["a", "b", "status"]
    assert seq_of(box.take(0)) == 2
    assert box.take(0) is None
    assert box.replaced == 1


def test_streams_take_turns() -> None:
    box = Outbox()
    taken = []
    for seq in range(4):
        box.put_picture("left", Offer(picture(seq, b"l")))
        box.put_picture("right", Offer(picture(seq, b"r")))
        taken += [box.take(seq), box.take(seq)]
    payloads = [decode_video(message).payload for message in taken]  # type: ignore[arg-type]
    assert payloads.count(b"l") == payloads.count(b"r") == 4


def test_to_a_near_client_that_acknowledges_one_picture_is_on_its_way() -> None:
    box = Outbox()
    box.put_picture("left", Offer(picture(0)))
    box.take(0)
    box.acknowledge("left", 0, 2 * MS)
    for seq in range(1, 50):
        box.put_picture("left", Offer(picture(seq)))
        assert (box.take((2 + seq) * MS) is not None) == (seq == 1)
    box.acknowledge("left", 1, 55 * MS)
    assert seq_of(box.take(55 * MS)) == 49, "the newest, not the one that waited longest"
    assert box.take(56 * MS) is None


def test_lost_acknowledgements_do_not_stop_video_for_ever() -> None:
    box = Outbox()
    box.put_picture("left", Offer(picture(0)))
    box.take(0)
    box.acknowledge("left", 0, MS)
    box.put_picture("left", Offer(picture(1)))
    box.take(MS)
    box.put_picture("left", Offer(picture(2)))
    assert box.take(ACK_PATIENCE_NS) is None
    taken = box.take(ACK_PATIENCE_NS + 2 * MS)
    assert taken is not None


def test_a_client_that_never_reads_does_not_grow_memory() -> None:
    box = Outbox()
    for _ in range(10 * MAX_TEXTS):
        box.put_text("x")
    assert box.overflowed
    assert len(box._texts) == MAX_TEXTS


def test_after_a_picture_as_the_camera_made_it_the_next_builds_on_nothing() -> None:
    box = Outbox()
    box.understands(("jpeg", "h264"))
    fresh = []
    for seq, index in enumerate([0, 2, 2, 3, 0, 1]):
        box.control.index = index
        box.put_picture("left", Offer(picture(seq)))
        taken = box.take(seq)
        fresh.append(taken.fresh if isinstance(taken, Encode) else None)
    assert fresh == [None, True, False, False, None, True]


# ------------------------------------------------------------------ flow


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=200),
    st.integers(1, 2000),
)
def test_no_more_are_on_their_way_than_the_distance_asks_for(
    steps: list[tuple[int, int]], distance_ms: int
) -> None:
    """A fuzz of sends and answers in any order: bounded, and it opens again."""
    flow, now, on_way = VideoFlow(), 0, []
    flow.sent("a", 0, 0, 0)
    flow.acknowledge("a", 0, distance_ms * MS)
    now = distance_ms * MS
    for seq, (wait_ms, answers) in enumerate(steps, 1):
        now += wait_ms * MS
        if flow.open("a", now):
            flow.sent("a", seq, 0, now)
            on_way.append(seq)
        for _ in range(min(answers, len(on_way))):
            flow.acknowledge("a", on_way.pop(0), now)
        assert len(flow._streams["a"].on_way) <= MAX_ON_WAY
    assert flow.open("a", now + ACK_PATIENCE_NS + 1)


def test_what_is_still_out_counts_as_late_as_it_is() -> None:
    flow = VideoFlow()
    flow.sent("a", 1, 0, 0)
    flow.acknowledge("a", 1, 5 * MS)
    assert flow.delay_ns(6 * MS) == 5 * MS
    flow.sent("a", 2, 0, 10 * MS)
    assert flow.delay_ns(410 * MS) is not None
    assert flow.delay_ns(410 * MS) > 100 * MS  # type: ignore[operator]
    assert flow.distance_ns == 5 * MS


def test_the_capture_of_an_answered_picture_is_known() -> None:
    flow = VideoFlow()
    flow.sent("a", 1, 123, 10)
    flow.sent("a", 2, 456, 20)
    assert flow.acknowledge("a", 2, 30) == (456 if flow.allowed else None)
    assert flow.acknowledge("a", 2, 40) is None


# ------------------------------------------------------------------ level


def test_it_steps_down_while_pictures_queue_and_up_again_when_they_do_not() -> None:
    control = LevelControl(JPEG)
    now = 0
    for _ in range(20):
        now += DOWN_EVERY_NS
        control.update(300 * MS, 5 * MS, now)
    assert control.index == len(JPEG) - 1
    for _ in range(len(JPEG)):
        now += UP_AFTER_NS
        control.update(8 * MS, 5 * MS, now)
    assert control.level is SOURCE


def test_a_step_up_that_relapses_is_tried_again_later_and_later() -> None:
    control = LevelControl(JPEG)
    now, tries = 10 * S, []
    control.update(300 * MS, 5 * MS, now)  # the link holds level 1, not the source
    assert control.index == 1
    while now < 200 * S:
        now += 50 * MS
        before = control.index
        control.update(300 * MS if control.index == 0 else 8 * MS, 5 * MS, now)
        if before == 1 and control.index == 0:
            tries.append(now)
    gaps = np.diff(tries) / S
    assert (np.diff(gaps[:4]) > 0).all()
    assert gaps.max() > 4 * gaps.min()


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300)), max_size=100))
def test_a_far_client_is_not_a_slow_one(waits: list[tuple[int, int]]) -> None:
    """What counts is the queue, not the distance."""
    control, now = LevelControl(H264), S
    for jitter_ms, distance_ms in waits:
        now += S
        control.update((distance_ms + jitter_ms % 30) * MS, distance_ms * MS, now)
    assert control.index == 0


# ------------------------------------------------------------------ encoding


def scene(phase: int, height: int = 480, width: int = 640) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    rgb = np.stack([rows // 2 % 256, columns // 3 % 256, (rows + columns) // 5 % 256], axis=-1)
    rgb[100:160, 10 + 4 * phase : 70 + 4 * phase] = (220, 30, 30)
    return rgb.astype(np.uint8)


def jpeg(phase: int) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(scene(phase), quality=90)
    return encoded


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.parametrize("level", JPEG[1:], ids=lambda level: f"{level.divisor}-{level.quality}")
def test_each_jpeg_level_is_smaller_than_the_one_before_and_still_the_picture(level: Level) -> None:
    transcoder = Transcoder()
    index = JPEG.index(level)
    small = transcoder.encode(Offer(picture(1, jpeg(3))), level)
    before = (
        transcoder.encode(Offer(picture(1, jpeg(3))), JPEG[index - 1]).payload
        if index > 1
        else jpeg(3)
    )
    assert len(small.payload) < len(before)
    rgb = simplejpeg.decode_jpeg(small.payload, colorspace="RGB")
    assert rgb.shape == (480 // level.divisor, 640 // level.divisor, 3)
    assert psnr(rgb, scene(3)[:: level.divisor, :: level.divisor]) > 20.0


@pytest.mark.parametrize("level", H264[1:], ids=lambda level: f"{level.divisor}-{level.kbit_s}")
def test_h264_pictures_come_without_delay_at_their_bit_rate(level: Level) -> None:
    transcoder, decoder, sizes = Transcoder(), H264Decoder(), []
    for seq in range(60):
        coded = transcoder.encode(Offer(picture(seq, jpeg(seq))), level, fresh=seq == 0)
        assert coded.codec == Codec.H264
        assert (coded.seq, coded.t_capture_ns) == (seq, 1000 * seq)
        assert coded.key == (seq == 0)
        rgb = decoder.decode(coded)  # raises where a picture is held back
        sizes.append(len(coded.payload))
    assert rgb.shape == (480 // level.divisor, 640 // level.divisor, 3)
    assert psnr(rgb, scene(59)[:: level.divisor, :: level.divisor]) > 20.0
    kbit_s = sum(sizes) * 8e-3 / 2
    assert kbit_s < 1.5 * level.kbit_s


def test_who_lost_a_picture_gets_a_key_picture_when_asked_for() -> None:
    transcoder, level = Transcoder(), H264[2]
    coded = [transcoder.encode(Offer(picture(seq, jpeg(seq))), level) for seq in range(3)]
    decoder = H264Decoder()
    with pytest.raises(ValueError, match="not received"):
        decoder.decode(coded[1])
    transcoder.ask_key(0)
    again = transcoder.encode(Offer(picture(3, jpeg(3))), level)
    assert again.key
    assert psnr(decoder.decode(again), scene(3)) > 20.0
    assert not transcoder.encode(Offer(picture(4, jpeg(4))), level).key


def test_two_streams_do_not_build_on_each_other() -> None:
    transcoder, level = Transcoder(), H264[2]
    decoders = {0: H264Decoder(), 1: H264Decoder()}
    for seq in range(4):
        for stream in (0, 1):
            coded = transcoder.encode(Offer(picture(seq, jpeg(seq + 30 * stream), stream)), level)
            rgb = decoders[stream].decode(coded)
            assert psnr(rgb, scene(seq + 30 * stream)) > 20.0


def test_what_is_no_jpeg_is_sent_as_it_is() -> None:
    broken = picture(1, b"not a picture")
    assert Transcoder().encode(Offer(broken), JPEG[2]) is broken
    assert Transcoder().encode(Offer(broken), H264[2]) is broken


def test_garbage_for_the_decoder_is_an_error_not_a_crash() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 10, 1000):
        noise = VideoPicture(0, Codec.H264, True, 0, 0, rng.bytes(size))
        with pytest.raises((ValueError, av.FFmpegError)):
            H264Decoder().decode(noise)


def test_ages_and_stages_are_summed_up_by_stream_over_the_last_second() -> None:
    ways = Journeys()
    ways.sent("left", 0, (0, 0, 0), 0)
    ways.decoded("left", 0, 900 * MS, 0)
    for k in range(1, 31):
        t0 = 2 * S + k * 33 * MS
        ways.sent("left", k, (t0, t0 + 5 * MS, t0 + 6 * MS), t0 + 8 * MS)
        ways.decoded("left", k, t0 + 11 * MS, t0 + 12 * MS)
        if k % 2:
            ways.shown("left", k, t0 + (20 + k % 3) * MS)
    ways.sent("right", 7, (3 * S, 3 * S, 3 * S), 3 * S)
    ways.decoded("right", 7, 3 * S + 40 * MS, 3 * S)
    ways.decoded("right", 7, 3 * S + 90 * MS, 3 * S)
    ways.decoded("right", 8, 3 * S, 3 * S), ways.shown("right", 9, 3 * S)  # never sent: ignored
    summary = ways.summary(3 * S)
    assert summary["left"]["stages_ms"] == {
        "encode": 5.0, "bus": 1.0, "wait": 2.0, "link": 3.0, "show": 10.0
    }  # fmt: skip
    assert summary["left"]["age_max_ms"] == 22.0
    assert summary["left"]["rate_hz"] == 30.0
    assert summary["right"] == {
        "rate_hz": 1.0, "age_ms": 40.0, "age_max_ms": 40.0,
        "stages_ms": {"encode": 0.0, "bus": 0.0, "wait": 0.0, "link": 40.0},
    }  # fmt: skip
    assert ways.median_ms(3 * S) == pytest.approx(15.5, abs=5.0)
    assert ways.median_ms(9 * S) is None


def test_the_way_of_pictures_nobody_answers_is_forgotten() -> None:
    ways = Journeys()
    for k in range(10 * KEPT):
        ways.sent("left", k, (k, k, k), k)
    assert len(ways._known["left"]) == KEPT


# ------------------------------------------------------------------ cameras that encode video


class Camera:
    """A camera that records H.264, and the messages it puts on the bus."""

    def __init__(self, codec: str = "h264") -> None:
        self.config = CameraConfig(name="left", width=W, height=H, rate_hz=30, codec=codec)
        self._encoder = PictureEncoder(self.config)
        self.seq = 0

    def message(self) -> bytes:
        payload, key = self._encoder.encode(draw_number(self.seq, W, H))
        codec = self._encoder.codec
        self.seq += 1
        return CameraPicture("left", W, H, self.seq, 0, 0, payload, self.seq - 1, codec, key).pack()


W, H = 320, 240


def client_box(*codecs: str) -> Outbox:
    box = Outbox()
    box.understands(codecs)
    return box


class Viewer:
    """A client: decodes as the native one does, and checks what it sees."""

    def __init__(self, box: Outbox) -> None:
        self.box = box
        self.seen: list[int] = []
        self._transcoder = Transcoder()
        self._decoder = H264Decoder()

    def look(self, now_ns: int) -> None:
        """Take all that may be sent now; raises where it could not be decoded."""
        while (message := self.box.take(now_ns)) is not None:
            if isinstance(message, Encode):
                sent = self._transcoder.encode(message.offer, message.level, message.fresh)
            else:
                assert isinstance(message, bytes)
                sent = decode_video(message)
            rgb = self._pixels(sent)
            if rgb.shape[0] == H and self.box.control.level is SOURCE:
                assert read_number(rgb) == sent.seq
            self.seen.append(sent.seq)
            self.box.acknowledge("left", sent.seq, now_ns)

    def _pixels(self, sent: VideoPicture) -> np.ndarray:
        if sent.codec == Codec.JPEG:
            return simplejpeg.decode_jpeg(sent.payload, colorspace="RGB")
        if sent.key:
            self._decoder = H264Decoder()
        return self._decoder.decode(sent)


def test_video_passes_through_to_a_client_that_decodes_it() -> None:
    camera, decoder = Camera(), StreamDecoder(lambda: False)
    viewer = Viewer(client_box("jpeg", "h264"))
    for k in range(40):
        message = camera.message()
        assert decoder.decode(message) is None, "nobody pays for pixels"
        viewer.box.put_picture("left", offer_of(0, message))
        viewer.look(k * 33 * MS)
    assert viewer.seen == list(range(40))


@pytest.mark.parametrize("codec", ["h264", "png"])
def test_others_get_what_they_can_decode(codec: str) -> None:
    camera, viewer = Camera(codec), Viewer(client_box("jpeg"))
    decoder = StreamDecoder(lambda: not viewer.box.passes_video)
    for k in range(25):
        message = camera.message()
        viewer.box.put_picture("left", offer_of(0, message, decoder.decode(message)))
        viewer.look(k * 33 * MS)
    assert viewer.seen == list(range(25))


def test_a_client_that_comes_late_begins_with_a_key_picture() -> None:
    camera, wanted = Camera(), []
    decoder = StreamDecoder(lambda: bool(wanted))
    viewers = [Viewer(client_box("h264")), Viewer(client_box("jpeg"))]
    for k in range(30):
        message = camera.message()
        if k == 4:
            wanted.append(True)
        pixels = decoder.decode(message)
        if k >= 4:
            for viewer in viewers:
                viewer.box.put_picture("left", offer_of(0, message, pixels))
                viewer.look(k * 33 * MS)
    assert [viewer.seen for viewer in viewers] == [list(range(10, 30))] * 2


def test_a_client_that_falls_behind_goes_on_with_a_key_picture() -> None:
    camera, viewer, waiting = Camera(), Viewer(client_box("h264")), []
    box = viewer.box
    for k in range(60):
        box.put_picture("left", offer_of(0, camera.message()))
        if not 23 <= k < 37:
            viewer.look(k * 33 * MS)
        waiting.append(len(box._pictures["left"].run))
    assert max(waiting) <= MAX_RUN
    # pictures 30 to 32 waited in vain: too many came after them
    assert viewer.seen == [*range(23), *range(40, 60)]
    assert box.replaced == 17


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["slow", "quick", "lost", "silent"]), min_size=20, max_size=60))
def test_whatever_the_link_does_nothing_is_sent_that_cannot_be_decoded(course: list[str]) -> None:
    camera, viewer = Camera(), Viewer(client_box("h264"))
    box, decoder = viewer.box, StreamDecoder(lambda: not viewer.box.passes_video)
    for k, turn in enumerate(course):
        message = camera.message()
        if turn == "lost":  # the bus overwrote it
            continue
        if turn == "slow":
            box.control.index = min(box.control.index + 1, len(box.control.ladder) - 1)
        elif turn == "quick":
            box.control.index = 0
        box.put_picture("left", offer_of(0, message, decoder.decode(message)))
        if turn != "silent":
            viewer.look(k * 33 * MS)
    assert viewer.seen == sorted(set(viewer.seen))
