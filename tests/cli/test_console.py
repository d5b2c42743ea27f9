"""progress=json and progress=quiet, and the help."""

import json
import sys

import pytest

from localize.cli import main
from localize.help import choices, groups, help_text, what_it_is
from localize.stages.workers import named
from tests.conftest import CHECKOUT, RUN


@pytest.fixture
def said(monkeypatch, capfd, tmp_path):
    """Run the command line: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["localize", f"hydra.run.dir={tmp_path}/run", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code, *capfd.readouterr()

    return run


def test_a_program_hears_json_and_nothing_else(said, own_data, scene, tmp_path):
    stdout = sys.stdout
    code, out, err = said(*RUN, *own_data[0], "progress=json")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert sys.stdout is stdout
    begun, finished = ([e for e in events if e["event"] == name] for name in ("begun", "finished"))
    assert {e["stage"] for e in begun} == {e["stage"] for e in finished} >= {"reference_features", "map", "poses"}
    features = next(e for e in finished if e["stage"] == "reference_features")
    assert (features["computed"], features["reused"]) == (0, len(scene.references))
    assert events[0]["event"] == "run"
    assert events[-1]["event"] == "ended"
    assert events[-1]["files"]["poses.txt"] == f"{tmp_path}/run/poses.txt"
    assert (events[-1]["ok"], events[-1]["localized"]) == (True, 3)
    assert set(events[-1]["conditions"]["all"]["recall"].values()) == {1.0}


def test_what_is_wrong_is_an_event_too(said, own_data):
    code, out, err = said(*RUN, "progress=json", "serch=union")
    assert (code, err) == (2, "")
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["error"]
    code, out, _ = said(*RUN, *own_data[0], "progress=json", "pose.max_error_px=-1")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert [e["event"] for e in events] == ["error", "ended"]
    assert "PoseLib.max_error_px is -1" in events[0]["text"]
    assert events[-1]["ok"] is False


def test_quiet_is_the_table_alone(said, own_data):
    code, out, err = said(*RUN, *own_data[0], "progress=quiet")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["condition", "-" * len(out.splitlines()[1]), "all"]
    code, out, err = said(*RUN, *own_data[0], "progress=loud")
    assert code == 2
    assert "progress is 'loud', but must be one of: true, false, quiet, json" in err


def test_help_names_everything_and_says_first_what_a_newcomer_needs(said):
    text = help_text([])
    assert said("--help")[:2] == (0, f"{text}\n")
    first = text.index("What can be run")
    assert text.index("dataset=photos") < first
    assert text.index("Localizer.load") < first
    lines = text.splitlines()
    for group in groups():
        for name in choices(group):
            assert any(name in line for line in lines), f"{group}={name}"
    assert max(map(len, lines)) <= 116
    assert "sift_crbnet *" in help_text(["--help", "feature"])


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "conf").glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}={p.stem}"
)
def test_every_choice_says_what_it_is(path):
    """By its own first sentence, or by the docstring of its module."""
    assert path.parent.name == "settings" or len(what_it_is(path)) > 10


def test_an_own_pipeline_is_in_the_help(tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "mine.yaml").write_text("# Does what only I need.\n_target_: my_parts.run\n")
    lines = help_text(["--config-dir", str(tmp_path), "--help"]).splitlines()
    assert lines[lines.index(" to others") + 1].split(maxsplit=1) == ["mine", "Does what only I need"]


def test_what_is_worked_on_has_the_name_that_a_user_knows(tmp_path):
    class Photo:
        name = "a/1.jpg"

    assert [named(n) for n in (Photo(), ("a.jpg", "b.jpg"), tmp_path / "c.jpg", 3)] == [
        *("a/1.jpg", "a.jpg with b.jpg", f"{tmp_path}/c.jpg", "3")
    ]
