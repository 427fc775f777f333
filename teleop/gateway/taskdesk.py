"""What the operator is to do: one task for the whole run, or what a plan wants next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recorder import Dataset, RecorderError
from recorder.catalog import CATALOG_FILE
from recorder.edits import LABELS_FILE
from teleop.plan import Item, Plan, Progress
from teleop.protocol import PlanInfo
from teleop.samples import Recording

LOOK_PERIOD_NS = 500_000_000
Run = Callable[[Callable[[], None]], object]


class TaskDesk:
    """The present task; it does not change while a take is recorded or waits for its label.

    Args:
        task: Language instruction, where there is no plan.
        plan: What the session wants.
        dataset: Where its takes are.
        run: Runs a function aside: the catalogue is read from disk.
    """

    def __init__(
        self,
        task: str = "",
        plan: Plan | None = None,
        dataset: Path | None = None,
        run: Run = lambda work: work(),
    ) -> None:
        self._fixed = Item(task, "", 0)
        self._plan, self._dataset, self._run = plan, dataset, run
        self._progress: Progress | None = None if plan is None else plan.progress(())
        self._held: Progress | None = None
        self._seen: tuple[float, ...] = ()
        self._next_ns = 0

    @property
    def item(self) -> Item:
        """What is recorded now, or next."""
        progress = self._held or self._progress
        if progress is None:
            return self._fixed
        return progress.item or Item("", "", 0)

    def info(self) -> PlanInfo | None:
        """Progress for clients; None without a plan."""
        progress = self._held or self._progress
        if self._plan is None or progress is None:
            return None
        item = progress.item
        return PlanInfo(
            name=self._plan.name,
            variation="" if item is None else item.variation,
            done=progress.done,
            wanted=0 if item is None else item.wanted,
            total_done=progress.total_done,
            total_wanted=progress.total_wanted,
        )

    def tick(self, recording: Recording, now_ns: int) -> None:
        """Look for new takes and labels now and then; call it every 10 ms."""
        if self._plan is None:
            return
        if recording is Recording.IDLE:
            self._held = None
        elif self._held is None:
            self._held = self._progress
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + LOOK_PERIOD_NS
            self._run(self._look)

    def _look(self) -> None:
        if self._plan is None or self._dataset is None:
            return
        seen = tuple(_changed(self._dataset / name) for name in (CATALOG_FILE, LABELS_FILE))
        if seen == self._seen:
            return
        self._seen = seen
        try:
            rows = Dataset.open(self._dataset, repair=False).episodes(include_discarded=True)
        except RecorderError:  # nothing recorded yet
            rows = []
        self._progress = self._plan.progress(rows)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0.0
