"""A session's plan: every take that is wanted, once, in its order, counted from the dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import Dataset, StreamSpec
from recorder.catalog import EpisodeRow
from teleop.gateway.taskdesk import LOOK_PERIOD_NS, TaskDesk
from teleop.plan import Item, Plan, PlanError, PlanFile, TaskSection, is_good
from teleop.samples import Recording
from tests.recorder.takes import HEAD, STREAMS, random_rows

TEXT = """name = "cube day"
[[tasks]]
instruction = "pick up the cube"
variations = ["left", "right"]
takes = 2
[[tasks]]
instruction = "fold the towel"
takes = 3
"""


def row(
    item: Item, outcome: str | None = "success", quality: str | None = "pass", **more
) -> EpisodeRow:
    return EpisodeRow(
        id="e", path=Path("e"), task=item.instruction, variation=item.variation, outcome=outcome,
        quality=quality, **more,
    )  # fmt: skip


@given(
    st.sampled_from(["sequential", "round_robin", "random"]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=5),
    st.integers(0, 5),
)
def test_following_a_plan_ends_with_exactly_what_it_wants(
    order: str, tasks: list[tuple[int, int]], seed: int
) -> None:
    sections = tuple(
        TaskSection(f"task {k}", tuple(f"v{v}" for v in range(variations)), takes)
        for k, (variations, takes) in enumerate(tasks)
    )
    plan = Plan(PlanFile(sections, order=order, seed=seed))  # type: ignore[arg-type]
    rows: list[EpisodeRow] = []
    wanted = sum(item.wanted for item in plan.items)
    for count in range(wanted):
        progress = plan.progress(rows)
        assert (progress.total_done, progress.total_wanted) == (count, wanted)
        assert progress.item is not None
        assert progress.done < progress.item.wanted
        assert plan.progress(rows) == progress, "asking does not change it"
        rows.append(row(progress.item))
    assert plan.progress(rows).item is None
    for item in plan.items:
        assert sum(r.task == item.instruction and r.variation == item.variation for r in rows) == (
            item.wanted
        )


def test_round_robin_keeps_variations_level(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('order = "round_robin"\n' + TEXT)
    plan = Plan.load(tmp_path / "plan.toml")
    rows: list[EpisodeRow] = []
    seen = []
    for _ in range(3):
        item = plan.progress(rows).item
        assert item is not None
        seen.append((item.instruction, item.variation))
        rows.append(row(item))
    assert len(set(seen)) == 3


def test_only_good_takes_count() -> None:
    item = Item("t", "", 1)
    assert is_good(row(item)) and is_good(row(item, quality="warn"))
    assert not is_good(row(item, outcome="failure"))
    assert not is_good(row(item, outcome=None))
    assert not is_good(row(item, quality="fail"))
    assert not is_good(row(item, discarded=True))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "tasks"),
        ("[[tasks]]\ntakes = 2", "instruction"),
        ('[[tasks]]\ninstruction = "x"\ntakes = 0', ">= 1"),
        ('order = "alphabetical"\n[[tasks]]\ninstruction = "x"', "alphabetical"),
        ('[[tasks]]\ninstruction = "x"\n[[tasks]]\ninstruction = "x"', "twice"),
        ("[[tasks", "plan.toml"),
    ],
)
def test_what_is_wrong_in_a_plan_is_said(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(PlanError, match=why):
        Plan.load(tmp_path / "plan.toml")
    with pytest.raises(PlanError, match="No such file"):
        Plan.load(tmp_path / "gone.toml")


def record(dataset: Dataset, item: Item) -> str:
    writer = dataset.begin(
        [s for s in STREAMS if isinstance(s, StreamSpec)],
        attributes={"task": item.instruction, "variation": item.variation},
    )
    writer.append("operator/head", random_rows(HEAD, 5, np.random.default_rng(0)))
    episode = writer.finish()
    writer.wait_settled()
    return episode.id


def test_the_desk_follows_the_dataset_but_never_within_a_take(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(TEXT)
    dataset = Dataset.open(tmp_path / "data", create=True)
    desk = TaskDesk("", Plan.load(tmp_path / "plan.toml"), tmp_path / "data")
    now = 0

    def look(recording: Recording = Recording.IDLE) -> Item:
        nonlocal now
        now += LOOK_PERIOD_NS
        desk.tick(recording, now)
        desk.tick(recording, now + 1)
        return desk.item

    left = look()
    assert (left.instruction, left.variation) == ("pick up the cube", "left")
    for _ in range(2):
        name = record(dataset, left)
        dataset.label(name, outcome="success")
        held = look(Recording.REVIEW)
        assert held == left, "a take that waits for its label keeps its task"
    right = look()
    assert right.variation == "right"
    info = desk.info()
    assert info is not None
    assert (info.done, info.wanted, info.total_done, info.total_wanted) == (0, 2, 2, 7)
    dataset.label(name, outcome="failure")
    assert look().variation == "left", "a take relabelled a failure is wanted again"


def test_without_a_plan_the_task_holds() -> None:
    desk = TaskDesk("wave")
    desk.tick(Recording.IDLE, 1)
    assert desk.item.instruction == "wave"
    assert desk.info() is None
