"""Costs said before the work: what the store holds costs nothing, the trial is kept, and what does not fit is named."""

import json

import numpy as np
import pytest

from localize.pipelines import parallel_search
from localize.roles import Components
from localize.stages import Workbench
from localize.stages.costs import estimate, trial
from localize.stages.costs.machine import MB, Machine, free_memory_mb
from localize.store import Store
from localize.types import Image, ImageList, Pose
from tests.conftest import FEATURE, PINHOLE, RUN


def test_all_in_the_store_costs_nothing(finished, scene):
    found = estimate(Workbench(finished[0]), Components(feature=FEATURE), scene)
    assert found.stages
    assert all(stage.items == stage.stored for stage in found.stages)
    assert found.seconds == found.disk_mb == 0
    assert found.told == ""


def test_few_photos_are_not_tried(scene, tmp_path):
    found = estimate(Workbench(Store(tmp_path)), Components(feature=FEATURE), scene)
    assert found.stages == ()
    assert not any((tmp_path / "features").rglob("*.h5"))


def test_a_trial_is_kept_and_names_the_stages_of_the_run(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "LEAST_TODO", 2)
    monkeypatch.setattr(trial, "SHARE", 2)
    store, use = Store(tmp_path / "store"), Components(feature=FEATURE)
    found = estimate(Workbench(store), use, scene)
    tried = next(s for s in found.stages if s.name == "reference_features")
    assert 2 <= tried.stored < tried.items
    assert all(s.seconds > 0 and s.memory_mb > 0 for s in found.stages)
    parallel_search.run(scene, store, feature=FEATURE, output=str(tmp_path / "run"))
    took = {s["name"]: s for s in json.loads((tmp_path / "run" / "results.json").read_text())["stages"]}
    assert {s.name for s in found.stages} <= took.keys()
    assert took["reference_features"]["reused"] == tried.stored
    assert found.line.startswith("about ")


def test_what_does_not_fit_is_named(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "LEAST_TODO", 2)
    monkeypatch.setattr(trial, "SHARE", 2)
    module = __import__("localize.stages.costs.estimate", fromlist=["this_machine"])
    monkeypatch.setattr(module, "this_machine", lambda root, workers: Machine(workers, 10.0, 0.01))
    memory, disk = estimate(Workbench(Store(tmp_path), 2), Components(feature=FEATURE), scene).warnings
    assert "reference_features is to take" in memory
    assert "workers=1 (" in memory
    assert "store.root=..." in disk
    assert "feature.max_keypoints=" in disk


def test_pairs_look_the_same_way():
    """Of cameras on a line that look forwards and backwards by turns."""
    ways = [np.eye(3), np.diag([-1.0, 1.0, -1.0])]
    poses = [Pose(ways[i % 2], ways[i % 2] @ [-float(i), 0, 0]) for i in range(20)]
    images = ImageList(Image(f"{i:02d}", PINHOLE, pose) for i, pose in enumerate(poses))
    assert trial.spread_in_pairs(images, 4, num_neighbours=6).names == ("00", "02", "19", "07")


def test_the_memory_of_a_group_is_its_limit(tmp_path):
    proc, group = tmp_path / "proc", tmp_path / "groups" / "a" / "b"
    (proc / "self").mkdir(parents=True)
    group.mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 99999999 kB\nMemAvailable: 8388608 kB\n")
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    assert free_memory_mb(str(proc), str(tmp_path / "groups")) == 8192
    for folder, limit in ((group, "max"), (group.parent, str(4096 * MB))):
        (folder / "memory.max").write_text(limit)
        (folder / "memory.current").write_text(str(3000 * MB))
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {1000 * MB}\n")
    assert free_memory_mb(str(proc), str(tmp_path / "groups")) == 4096 - 3000 + 1000


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [(["costs=only"], 0, "too few photos to measure"), (["costs=maybe"], 2, "must be one of: told, only, none")],
)
def test_only_asking_computes_nothing(run_cli, synthetic_root, tmp_path, settings, code, sentence):
    own = ["dataset=synthetic", f"dataset.root={synthetic_root}", "dataset.num_photos=10", "dataset.num_points=250"]
    found, text = run_cli(*RUN, *own, *settings)
    assert (found, sentence in text) == (code, True)
    assert not (tmp_path / "run" / "results.json").exists()
