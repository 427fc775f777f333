"""The `telecap` command: what a script may rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorder import CameraSpec, Dataset, StreamSpec
from teleop.cli import main
from teleop.system import new_token
from tests.recorder.export_episodes import SESSION, STATE, Recipe, record
from tests.teleop.test_report import make_episode


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    code = end.value.code
    return code if isinstance(code, int) else 0


def listed(capsys: pytest.CaptureFixture[str], dataset: Path, *flags: str) -> list[dict]:
    capsys.readouterr()
    assert run("episodes", "list", dataset, "--json", *flags) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for task in ("first", "second"):
        record(tmp_path / "dataset", Recipe(seconds=0.4, task=task))
    return tmp_path / "dataset"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    names = (
        "run",
        "demo",
        "replay",
        "operate",
        "check",
        "repair",
        "episodes",
        "export",
        "rigs",
        "hmd",
        "view",
    )
    assert all(name in text for name in names)


@pytest.mark.parametrize(
    "command", [("check", "X"), ("episodes", "list", "X"), ("repair", "X"), ("rigs", "check", "X")]
)
def test_what_does_not_exist_is_a_clear_error(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path / "nowhere")
    assert run(*(where if word == "X" else word for word in command)) == 2
    assert "nowhere" in capsys.readouterr().err.replace("\n", "")


def test_a_discarded_episode_leaves_the_list_and_comes_back(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (row["id"] for row in listed(capsys, dataset))
    assert run("episodes", "discard", dataset, first) == 0
    assert [row["id"] for row in listed(capsys, dataset)] == [second]
    assert len(listed(capsys, dataset, "--discarded")) == 2
    assert run("episodes", "restore", dataset, first) == 0
    assert len(listed(capsys, dataset)) == 2


def test_a_label_is_shown_and_changes_no_byte_of_the_recording(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = listed(capsys, dataset)[0]
    before = {p: p.read_bytes() for p in Path(row["path"]).rglob("*") if p.is_file()}
    assert run("episodes", "label", dataset, row["id"], "--outcome", "failure", "--notes", "x") == 0
    after = {p: p.read_bytes() for p in Path(row["path"]).rglob("*") if p.is_file()}
    assert after == before
    assert listed(capsys, dataset)[0]["outcome"] == "failure"


def test_show_counts_rows_and_pictures(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = listed(capsys, dataset)[0]
    assert run("episodes", "show", row["path"], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == "complete"
    assert shown["cameras"]["head_left"]["pictures"] == 12
    assert run("episodes", "show", row["path"]) == 0


def test_check_says_in_its_exit_code_whether_anything_failed(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run("check", dataset, "--json")
    reports = json.loads(capsys.readouterr().out)
    assert code == int(any(r["verdict"] == "fail" for r in reports))
    record(dataset, Recipe(seconds=0.4, lost_pictures=range(2, 11)))
    assert run("check", dataset) == 1


def test_an_unfinished_episode_is_refused_until_it_is_repaired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "dataset"
    opened = Dataset.open(root, create=True)
    writer = opened.begin(
        [StreamSpec("state", STATE, 500.0), StreamSpec("session", SESSION)],
        [CameraSpec("c", 16, 16)],
        {"task": "t"},
    )
    writer.close()
    assert run("check", writer.path) == 2
    assert "telecap repair" in capsys.readouterr().err
    assert run("repair", root) == 0
    assert "recovered" in capsys.readouterr().out
    assert run("episodes", "show", writer.path) == 0


def test_export_writes_a_lerobot_dataset_and_does_not_overwrite_it(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "export"
    assert run("export", "lerobot", dataset, out, "--action", "sent") == 0
    assert "2 episodes" in capsys.readouterr().out
    assert json.loads((out / "meta/info.json").read_text())["codebase_version"] == "v3.0"
    assert run("export", "lerobot", dataset, out) == 2
    assert "--force" in capsys.readouterr().err
    assert run("export", "lerobot", dataset, out, "--force") == 0


def test_rigs_are_listed_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rigs", "list") == 0
    assert "openarm" in capsys.readouterr().out.split()
    assert run("rigs", "check", "openarm") == 0
    assert "left_wrist at home" in capsys.readouterr().out


def test_edits_are_made_listed_and_undone_from_the_command_line(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (row["id"] for row in listed(capsys, dataset))
    assert run("episodes", "tag", dataset, first, second, "--add", "night", "two words") == 0
    assert run("episodes", "trim", dataset, first, "0.1", "0.3") == 0
    rows = {row["id"]: row for row in listed(capsys, dataset)}
    assert rows[first]["tags"] == ["night", "two words"]
    assert rows[first]["duration_s"] == pytest.approx(0.2)
    assert run("episodes", "history", dataset, "--json") == 0
    edits = json.loads(capsys.readouterr().out)
    assert [edit["op"] for edit in edits] == ["tag", "tag", "trim"]
    assert run("episodes", "undo", dataset, edits[2]["id"]) == 0
    assert listed(capsys, dataset)[0]["duration_s"] > 0.3
    assert run("episodes", "tag", dataset, first) == 2, "nothing to do is said"


def test_parts_are_shown_checked_and_never_purged_alone(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path(listed(capsys, dataset)[0]["path"])
    assert run("episodes", "split", dataset, whole.name, "0.15") == 0
    first, second = capsys.readouterr().out.split()
    assert run("episodes", "show", whole.with_name(second)) == 0
    assert "used from 0.15 to 0.40 s" in " ".join(capsys.readouterr().out.split())
    assert run("check", whole.with_name(second), "--json") in (0, 1)
    (report,) = json.loads(capsys.readouterr().out)
    assert report["verdict"] in ("pass", "warn", "fail")
    assert run("check", whole.with_name(f"{whole.name}~7")) == 2
    assert "~7" in capsys.readouterr().err
    assert run("episodes", "discard", dataset, first) == 0
    assert run("episodes", "purge", dataset, first, "--yes") == 2
    assert whole.is_dir()
    assert first not in [row["id"] for row in listed(capsys, dataset)]


def test_a_purge_shows_first_and_deletes_only_when_told(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (row["id"] for row in listed(capsys, dataset))
    run("episodes", "discard", dataset, first)
    for arguments in ((), (first,)):
        capsys.readouterr()
        assert run("episodes", "purge", dataset, *arguments) == 0
        shown = capsys.readouterr().out
        assert first in shown and "1 episodes" in shown
        assert (dataset / "episodes" / first).is_dir()
    assert run("episodes", "purge", dataset, second, "--yes") == 2, "it was not discarded"
    assert run("episodes", "purge", dataset, first, "--yes") == 0
    assert not (dataset / "episodes" / first).exists()
    assert (dataset / "episodes" / second).is_dir()


def test_a_check_is_kept_only_when_asked_and_judges_what_a_trim_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset.open(tmp_path / "dataset", create=True)
    episode = record(dataset.path, Recipe(seconds=4.0, lost_pictures=range(20, 40)))

    def verdicts(*flags: str) -> tuple[str, str | None]:
        capsys.readouterr()
        run("check", dataset.path, "--json", *flags)
        (found,) = json.loads(capsys.readouterr().out)
        return found["verdict"], listed(capsys, dataset.path)[0]["quality"]

    assert verdicts() == ("fail", None)
    assert verdicts("--store") == ("fail", "fail")
    dataset.trim(episode.id, 1.6, 3.9)
    assert verdicts() == ("pass", "fail")
    assert verdicts("--store") == ("pass", "pass")
    assert [edit.op for edit in dataset.history(episode.id)] == ["quality", "trim", "quality"]


def test_a_check_writes_a_report_of_what_it_checked(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "dataset", create=True)
    episodes = [make_episode(dataset) for _ in range(2)]
    run("check", dataset.path, "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert all(episode.id in page for episode in episodes)


def test_a_token_is_never_taken_for_an_option() -> None:
    tokens = {new_token() for _ in range(2000)}
    assert len(tokens) == 2000
    assert all(token[0].isalpha() and len(token) == 16 for token in tokens)


def test_a_file_that_cannot_be_written_is_a_clear_error(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    assert run("export", "lerobot", dataset, tmp_path / "taken" / "out") == 2
    assert "taken" in capsys.readouterr().err
