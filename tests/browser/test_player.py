"""The console plays a take: the picture of each moment, all cameras together, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from playwright.sync_api import Page

from recorder import CameraSpec, Dataset, StreamSpec
from teleop.cameras.sources import draw_number
from tests.browser.fake_gateway import FakeGateway

pytestmark = pytest.mark.browser
S = 1_000_000_000
STATE = np.dtype([("t_ns", np.int64), ("position", np.float64, (2,))])


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[FakeGateway]:
    dataset = Dataset.open(tmp_path, create=True)
    cameras = [CameraSpec("front", 320, 240, 30.0), CameraSpec("wrist", 320, 240, 15.0)]
    writer = dataset.begin(
        [StreamSpec("state", STATE, 100.0)], cameras, {"task": "Stack", "take": 1}
    )
    rows = np.zeros(300, STATE)
    rows["t_ns"] = S + np.arange(300) * S // 100
    rows["position"][:, 0] = np.sin(np.arange(300) / 20)
    writer.append("state", rows)
    for name, rate in (("front", 30), ("wrist", 15)):
        for k in range(3 * rate):
            encoded = simplejpeg.encode_jpeg(draw_number(k, 320, 240), quality=90)
            writer.append_picture(name, encoded, S + k * S // rate, k, S + k * S // rate, k)
    writer.event(S + int(1.5 * S), "pause")
    writer.finish()
    writer.wait_settled()
    gateway = FakeGateway(dataset=tmp_path)
    gateway.start()
    yield gateway
    gateway.stop()


NUMBER = """canvas => {
  const cell = Math.floor(canvas.width / 32), context = canvas.getContext("2d");
  let number = 0;
  for (let bit = 0; bit < 16; bit++) {
    const [r] = context.getImageData(bit * cell + (cell >> 1), 12, 1, 1).data;
    if (r > 127) number += 2 ** bit;
  }
  return number;
}"""


def test_a_take_plays_and_every_moment_shows_its_own_pictures(
    page: Page, recorded: FakeGateway
) -> None:
    page.goto(recorded.page("/"))
    page.locator("#episodes summary").first.click()
    page.get_by_role("button", name="Play").first.click()
    page.locator("#player[open]").wait_for()
    assert page.locator("#player-title").text_content() == "Stack"
    page.wait_for_function("Number(document.querySelector('#player-time').value) > 0.2")
    page.click("#player-play")
    for at_s, front, wrist in ((0.5, 15, 7), (2.51, 75, 37), (0.0, 0, 0)):
        page.evaluate(
            """at => { const slider = document.querySelector("#player-time");
            slider.value = at; slider.dispatchEvent(new Event("input")); }""",
            at_s,
        )
        for title, number in (("front", front), ("wrist", wrist)):
            canvas = page.locator(f"#player-cameras canvas[title={title}]")
            page.locator(f"#player-cameras canvas[title={title}][data-index='{number}']").wait_for()
            assert canvas.evaluate(NUMBER) == number
    page.get_by_role("button", name="pause", exact=True).click()
    assert (page.locator("#player-clock").text_content() or "").startswith("1.50")
    curves = page.locator("#player-curves").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
    )
    assert curves, "the joints are drawn"
    page.locator("#player").get_by_role("button", name="Close").click()
    page.locator("#player[open]").wait_for(state="hidden")
