"""A directory of episodes with its catalogue and its labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder import edits, layout, query
from recorder.catalog import EPISODES, EpisodeRow, catalogue, read_catalog
from recorder.episode import Episode
from recorder.errors import DatasetError, EpisodeNotFoundError, SchemaError
from recorder.location import as_path, is_local
from recorder.merge import Merged, merge
from recorder.parts import directory_of, exists, part_name, whole_of
from recorder.purge import Purge, plan_purge, purge
from recorder.query import Filter
from recorder.repair import Repaired, repair_dataset
from recorder.schema import SCHEMA_VERSION, CameraSpec, StreamSpec, episode_name
from recorder.windows import Window, Windows
from recorder.writer import EpisodeWriter

DATASET_FILE = "dataset.json"


class Dataset:
    """Episodes below one directory; opened with `Dataset.open`.

    Attributes:
        path: Directory of the dataset.
        repaired: Episodes that opening it repaired.
    """

    def __init__(self, path: Path, repaired: Sequence[Repaired] = ()) -> None:
        self.path = path
        self.repaired = tuple(repaired)

    @classmethod
    def open(cls, path: Path | str, *, create: bool = False, repair: bool = True) -> Dataset:
        """Open a dataset and finish episodes whose writer died.

        Args:
            path: Its directory, or its URL in an object store (`s3://bucket/cube`), which is only
                read: nothing is repaired there, and edits are refused.
            create: Make it when it is missing.
            repair: Repair unfinished episodes; those a live writer holds are left alone.

        Raises:
            DatasetError: When there is none, or a newer version wrote it.
        """
        root = as_path(path)
        repair, create = repair and is_local(root), create and is_local(root)
        if not (root / DATASET_FILE).exists():
            if not create:
                raise DatasetError(f"no dataset at {root}: {DATASET_FILE} is missing")
            _create(root)
        version = json.loads((root / DATASET_FILE).read_bytes()).get("schema_version")
        if version != SCHEMA_VERSION:
            raise DatasetError(
                f"dataset {root} has schema version {version}, expected {SCHEMA_VERSION}"
            )
        return cls(root, repair_dataset(root) if repair else ())

    @property
    def description(self) -> Path:
        """The file that makes a directory a dataset."""
        return self.path / DATASET_FILE

    @property
    def reachable(self) -> bool:
        """Whether it is there: not when somebody moved it, or unplugged its disk."""
        try:
            return self.description.exists()
        except OSError:
            return False

    def __len__(self) -> int:
        return len(self.episodes())

    def __getitem__(self, episode: str) -> Episode:
        """An episode by name; raises EpisodeNotFoundError."""
        return Episode(self._episode_path(episode))

    def begin(
        self,
        streams: Sequence[StreamSpec],
        cameras: Sequence[CameraSpec] = (),
        attributes: Mapping[str, Any] | None = None,
        wall_time: datetime | None = None,
    ) -> EpisodeWriter:
        """Start an episode.

        Args:
            streams: Numeric streams it will have.
            cameras: Cameras it will have.
            attributes: Task, operator, rig, model hash, … (JSON).
            wall_time: Wall time of the start; now when not given.

        Raises:
            SchemaError: When streams or attributes cannot be stored.
            DatasetError: When the dataset is gone, as with a disk that was unplugged.
            DiskFull: When there is no space to start.
        """
        edits.check_writable(self.path)
        if not self.reachable:
            raise DatasetError(f"no dataset at {self.path} any more: {DATASET_FILE} is missing")
        now = wall_time or datetime.now(UTC)
        path = self.path / EPISODES / episode_name(now)
        return EpisodeWriter(path, streams, cameras, attributes or {}, now, self._finished)

    def episodes(
        self, chosen: Filter | None = None, *, include_discarded: bool = False
    ) -> list[EpisodeRow]:
        """Finished episodes, oldest first, with labels merged in; those chosen, or all."""
        rows = read_catalog(self.path)
        return [
            row
            for row in rows
            if (include_discarded or not row.discarded) and (chosen is None or chosen.takes(row))
        ]

    def ask(self, sql: str) -> Any:
        """Answer SQL about the table `episodes` (see `EpisodeRow`), as an Arrow table.

        Raises:
            RecorderError: DuckDB is not installed, or refuses the question.
        """
        return query.ask(self.episodes(include_discarded=True), sql)

    def write_parquet(self, path: Path | str) -> None:
        """Save the catalogue, discarded episodes included, for other programs."""
        query.write_parquet(self.episodes(include_discarded=True), Path(path))

    def windows(
        self, fps: float, windows: Mapping[str, Window], chosen: Filter | None = None
    ) -> Windows:
        """Training samples of the chosen episodes; see `Windows`."""
        return Windows(self.episodes(chosen), fps, windows)

    def label(
        self,
        episode: str,
        outcome: str | None = None,
        notes: str | None = None,
        grade: float | None = None,
        task: str | None = None,
    ) -> None:
        """Label an episode; None leaves an entry as it is, an empty outcome takes it back."""
        self._episode_path(episode)
        edits.label(self.path, episode, outcome, notes, grade, task)

    def tag(self, episode: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Give tags to an episode and take others away. Raises SchemaError for what is no tag."""
        self._episode_path(episode)
        edits.tag(self.path, episode, add, remove)

    def trim(self, episode: str, start_s: float, end_s: float) -> None:
        """Let views and exports use only some of an episode; its data stay.

        Args:
            episode: Its name, or that of a part.
            start_s: Seconds after its first row; of a part, after the part's beginning.
            end_s: The same of the end.

        Raises:
            SchemaError: That is empty or not within the episode, or the part.
        """
        found = self._undivided(episode)
        first, last = found.attributes.get("part_ns", (found.start_ns, found.end_ns))
        length_s = (last - first) / 1e9
        if not 0.0 <= start_s < end_s <= length_s + 1e-6:
            raise SchemaError(
                f"trim of {episode} from {start_s:g} to {end_s:g} s; expected some of its "
                f"{length_s:.2f} s"
            )
        edits.trim(self.path, episode, first + round(start_s * 1e9), first + round(end_s * 1e9))

    def split(self, episode: str, at_s: Sequence[float]) -> list[str]:
        """Let readers see an episode as several, `NAME~1`, `NAME~2`, …; its data stay.

        Args:
            episode: Its name.
            at_s: Seconds after its first row at which a new part begins, ascending.

        Returns:
            Names of the parts. They begin with the labels of the whole, and are labelled, trimmed,
            discarded and exported on their own.

        Raises:
            SchemaError: A time is not within the episode, or it is split already, or a part.
        """
        found = self._undivided(episode)
        if whole_of(episode) != episode:
            raise SchemaError(f"{episode} is a part: undo the split of {whole_of(episode)} first")
        first_ns, last_ns = found.span_ns
        times = [found.start_ns + round(t * 1e9) for t in at_s]
        if not times or not first_ns < min(times) or not max(times) < last_ns:
            begin, end = ((t - found.start_ns) / 1e9 for t in (first_ns, last_ns))
            raise SchemaError(
                f"split of {episode} at {[float(t) for t in at_s]} s; expected times between "
                f"{begin:.2f} and {end:.2f} s"
            )
        edits.split(self.path, episode, [first_ns, *times, last_ns])
        return [part_name(episode, k + 1) for k in range(len(times) + 1)]

    def merge(self, source: Path | str, *, copy: bool = False, discarded: bool = False) -> Merged:
        """Bring the episodes of another dataset here; see `recorder.merge`."""
        other = Dataset.open(source, repair=False)
        return merge(self.path, other.path, copy=copy, discarded=discarded)

    def history(self, episode: str | None = None) -> list[edits.Edit]:
        """Everything that was done to episodes, oldest first; of one, or of all."""
        return edits.history(self.path, episode)

    def undo(self, edit: str) -> edits.Edit:
        """Take an edit back by its name; returns it. Raises SchemaError where that cannot be."""
        return edits.undo(self.path, edit)

    def plan_purge(self, episodes: Sequence[str]) -> Purge:
        """What `purge` would delete; nothing is touched."""
        return plan_purge(self.path, episodes)

    def purge(self, episodes: Sequence[str]) -> Purge:
        """Delete discarded episodes for good; returns what was deleted."""
        return purge(self.path, episodes)

    def discard(self, episode: str) -> None:
        """Leave an episode out of listings and exports; its data stay."""
        self._episode_path(episode)
        edits.discard(self.path, episode)

    def restore(self, episode: str) -> None:
        """Take a discard back."""
        self._episode_path(episode)
        edits.restore(self.path, episode)

    def set_quality(self, episode: str, report: Mapping[str, Any]) -> None:
        """Keep the report of a quality check (`QualityReport.to_dict`)."""
        self._episode_path(episode)
        edits.set_quality(self.path, episode, report)

    def _episode_path(self, episode: str) -> Path:
        path = self.path / EPISODES / episode
        if "/" in episode or not (directory_of(path) / layout.METADATA).exists():
            raise EpisodeNotFoundError(f"no episode {episode!r} in {self.path}")
        if whole_of(episode) != episode and not exists(episode, edits.read_labels(self.path)):
            raise EpisodeNotFoundError(f"no part {episode!r} in {self.path}")
        return path

    def _undivided(self, episode: str) -> Episode:
        """An episode that is not split."""
        found = self[episode]
        if "parts" in found.attributes and found.id == whole_of(found.id):
            raise SchemaError(f"episode {episode} is split into {found.attributes['parts']}")
        return found

    def _finished(self, attributes: Mapping[str, Any]) -> None:
        catalogue(self.path, attributes)


def _create(root: Path) -> None:
    (root / EPISODES).mkdir(parents=True, exist_ok=True)
    description = {"schema_version": SCHEMA_VERSION, "created": datetime.now(UTC).isoformat()}
    layout.replace_durably(root / DATASET_FILE, json.dumps(description, indent=2).encode())
