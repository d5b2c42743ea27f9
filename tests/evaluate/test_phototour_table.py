"""Table 1 of the paper on generated sets in PhotoTour's format: what it needs, what it costs, what it finds."""

import csv
import json

import numpy as np
import pytest
import torch

from localize.evaluate.patches.descriptors import PatchNetwork
from localize.index.itq import itq_rotation
from localize.io.benchmarks.phototour import read_pairs, read_phototour, write_pairs, write_phototour
from localize.networks.patches import TFeat
from localize.pipelines.judging import phototour_table
from localize.pipelines.judging.phototour_table import NETWORKS, SETS, trainings
from localize.types import InputError
from localize.weights.patches import save_weights
from tests.evaluate.test_patches import slow_fpr95
from tests.train.test_train_crbnet import random_patches

TINY = ("pipeline.steps=2", "pipeline.pairs_per_batch=8", "workers=2")


@pytest.fixture(scope="module")
def phototour(tmp_path_factory):
    """Liberty, Notre Dame and Yosemite of 8 points each."""
    root = tmp_path_factory.mktemp("phototour")
    for seed, name in enumerate(SETS):
        patches, points = random_patches(8, 4, seed)
        write_phototour(root / name, patches, points)
        first = np.arange(32) % 16
        second = np.concatenate([first[:16] + 8, (first[16:] + 3) % 24])
        write_pairs(root / name, "m50_32_32_0.txt", first, second, points)
    return root


def table(path) -> dict:
    found = {t["name"]: t for t in json.loads(path.read_text())["tables"]}
    return {name: [dict(zip(t["header"], row, strict=True)) for row in t["rows"]] for name, t in found.items()}


def test_missing_trainings_are_listed_with_their_cost_and_not_run(phototour, tmp_path, run_cli, monkeypatch):
    monkeypatch.setattr(phototour_table, "TIMED_PAIRS", 2)
    torch.save(TFeat().state_dict(), tmp_path / "tfeat-liberty.params")
    settings = (f"pipeline.phototour={phototour}", f"pipeline.trainings={tmp_path}/t", "workers=2")
    code, said = run_cli("+table=crbnet", *settings, f"pipeline.tfeat={tmp_path}/tfeat-liberty.params")
    assert code == 0, said
    found = table(tmp_path / "run/table.json")
    assert [(r["network"], r["set"]) for r in found["trainings"]] == [(n, s) for n in NETWORKS for s in SETS.values()]
    assert all(r["hours"] > 0 and r["weights"] == "missing" for r in found["trainings"])
    paper, sosnet, hardnet = (
        next(r for r in found["trainings"] if r["network"] == n) for n in ("CRBNet", "SOSNet", "HardNet")
    )
    assert (paper["steps"], paper["pairs"], paper["kind"]) == (round(100 * 32 / 2048), 1024, "crbnet256")
    assert (sosnet["steps"], sosnet["pairs"], hardnet["steps"]) == (round(100 * 32 / 1024), 512, 48830)
    assert "15 of 15 trainings are missing" in said
    assert not (tmp_path / "t").exists()
    sift, tfeat = found["ours"]
    assert [c for c in sift if sift[c] is not None] == [
        "method",
        "values",
        "dim",
        "Not>Lib",
        "Lib>Not",
        "Lib>Yos",
        "mean",
    ]
    assert [c for c in tfeat if tfeat[c] is not None] == ["method", "values", "dim", "Lib>Not", "Lib>Yos"]


def test_trainings_are_run_where_asked_and_judged_on_the_other_sets(phototour, tmp_path, run_cli):
    settings = (f"pipeline.phototour={phototour}", f"pipeline.trainings={tmp_path}/t", *TINY)
    for wanted in trainings(str(phototour), f"{tmp_path}/t", 2, 8):  # all but one are there
        if (wanted.name, wanted.set) != ("SOSNet", "yosemite"):
            wanted.folder.mkdir(parents=True)
            save_weights(wanted.weights, wanted.start.module(), wanted.start.network, {"loop.steps": "2"})
    code, said = run_cli("+table=crbnet", *settings, "pipeline.train=true")
    assert code == 0, said
    found = table(tmp_path / "run/table.json")
    assert {r["weights"] for r in found["trainings"]} == {"there, 2 steps"}
    rows = {(r["method"], r["values"]): r for r in found["ours"]}
    assert set(rows) == {("RootSIFT", "real"), ("SOSNet+ITQ", "bits")} | {
        (n, k) for n in NETWORKS for k in ("real", "bits")
    }
    weights = tmp_path / "t/sosnet_yosemite/weights.safetensors"
    first, second, same = read_pairs(phototour / "liberty")
    values = PatchNetwork(str(weights)).describe(read_phototour(phototour / "liberty")[0])
    away = np.linalg.norm(values[first] - values[second], axis=1)
    assert rows["SOSNet", "real"]["Yos>Lib"] == pytest.approx(slow_fpr95(away[same], away[~same]), abs=1e-3)
    learned = PatchNetwork(str(weights)).describe(read_phototour(phototour / "yosemite")[0])
    rotation, thresholds = itq_rotation(learned, 128, 0)
    bits = values @ rotation > thresholds
    away = (bits[first] != bits[second]).sum(1)
    assert rows["SOSNet+ITQ", "bits"]["Yos>Lib"] == pytest.approx(slow_fpr95(away[same], away[~same]), abs=1e-3)
    six = [v for c, v in rows["CRBNet", "bits"].items() if ">" in c]
    assert rows["CRBNet", "bits"]["mean"] == pytest.approx(np.mean(six))
    with open(tmp_path / "run/table.csv", newline="") as f:
        assert {"trainings", "ours", "published"} == {r["table"] for r in csv.DictReader(f)}


def test_what_is_missing_is_named(phototour, tmp_path, run_cli):
    with pytest.raises(InputError) as e:
        trainings(str(tmp_path), "t", None, None)
    assert len(e.value.problems) == 4
    assert "liberty, notredame and yosemite" in e.value.problems[-1]
    code, said = run_cli("+table=crbnet", f"pipeline.phototour={phototour}", "pipeline.tfeat=x.params")
    assert code == 2
    assert "does not say which of notredame, yosemite, liberty it was trained on: rename it" in said
