"""The HPatches patch benchmark: its files, and its tasks against slow twins that follow their definitions."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest

from localize.evaluate.patches import descriptors as patch_descriptors
from localize.evaluate.patches import hpatches as tasks_of
from localize.evaluate.patches.descriptors import PatchNetwork, RootSift
from localize.evaluate.patches.hpatches import Sequences, average_precision, describe_sequences, evaluate_hpatches
from localize.evaluate.patches.hpatches_plot import plot_tasks, task_means
from localize.io.benchmarks.hpatches import TYPES, check_hpatches, read_sequence, read_split, read_task, resampled
from localize.io.benchmarks.phototour import write_phototour
from localize.networks.patches import patch_network
from localize.pipelines.judging import evaluate_patches
from localize.types import InputError
from localize.weights.patches import save_weights

COUNTS = {"i_one": 6, "v_two": 5, "v_three": 8}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """(hpatches-release, tasks) of three sequences of a few patches, in the benchmark's own files."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("hpatches")
    folder, tasks = root / "hpatches-release", root / "tasks"
    (tasks / "splits").mkdir(parents=True)
    (tasks / "splits" / "splits.json").write_text(json.dumps({"a": {"name": "a", "train": [], "test": [*COUNTS]}}))
    for name, n in COUNTS.items():
        (folder / name).mkdir(parents=True)
        clean = np.kron(rng.uniform(40, 200, (n, 5, 5)), np.ones((13, 13)))
        for kind in TYPES:
            noise = {"r": 0, "e": 40, "h": 80, "t": 120}[kind[0]]
            patches = np.clip(clean + rng.normal(0, 1, (n, 65, 65)) * noise, 0, 255).astype(np.uint8)
            PIL.Image.fromarray(patches.reshape(-1, 65)).save(folder / name / f"{kind}.png")
    for name, rows in random_tasks(rng).items():
        header = "s,idx" if "retr" in name else "s1,t1,idx1,s2,t2,idx2"
        text = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
        (tasks / f"{name}_split-a.csv").write_text(text)
    return folder, tasks


def random_tasks(rng):
    """Rows of the five lists."""
    names = [*COUNTS]

    def patch():
        name = names[rng.integers(3)]
        return name, int(rng.integers(COUNTS[name]))

    lists = {"verif_pos": [], "verif_neg_inter": [], "verif_neg_intra": []}
    for _ in range(43):
        (s, i), (r, j), (t, u) = patch(), patch(), rng.choice(5, 2, replace=False).tolist()
        lists["verif_pos"].append((s, t, i, s, u, i))
        lists["verif_neg_inter"].append((s, t, i, r, u, j))
        lists["verif_neg_intra"].append((s, t, i, s, u, (i + 1) % COUNTS[s]))
    lists["retr_queries"] = [patch() for _ in range(7)]
    lists["retr_distractors"] = [patch() for _ in range(50)]
    return lists


def slow_area(distances, labels, num_positives, curve):
    """Walk down the sorted list, ties as given; add up trapezoids of the curve."""
    order = sorted(range(len(labels)), key=lambda i: distances[i])
    hits, misses, area, last = 0, 0, 0.0, (0.0, 1.0 if curve == "pr" else 0.0)
    for i in order:
        hits, misses = hits + labels[i], misses + (not labels[i])
        recall = hits / num_positives
        here = (recall, hits / (hits + misses)) if curve == "pr" else (misses / (len(labels) - sum(labels)), recall)
        area += (here[0] - last[0]) * (here[1] + last[1]) / 2
        last = here
    return 100 * area


def slow_tasks(values, lists, pools):
    """All figures; values[name][type] are the descriptors (N, D), lists the rows as written in the files."""
    near = lambda a, b: float(np.sqrt(np.sum((a.astype(float) - b.astype(float)) ** 2)))  # noqa: E731
    of = lambda s, t, i, noise: values[s]["ref" if t == 0 else f"{noise}{t}"][i]  # noqa: E731
    found = {}
    for noise, word in (("e", "easy"), ("h", "hard"), ("t", "tough")):
        all_pairs = {k: [near(of(*p[:3], noise), of(*p[3:], noise)) for p in lists[k]] for k in lists if "verif" in k}
        same = all_pairs["verif_pos"]
        for kind in ("inter", "intra"):
            others = all_pairs[f"verif_neg_{kind}"]
            labels = [False] * len(others) + [True] * len(same)
            found[f"verification, balanced, {kind}, {word}"] = slow_area(others + same, labels, len(same), "roc")
            few = same[: int(0.2 * len(same))]
            labels = [False] * len(others) + [True] * len(few)
            found[f"verification, imbalanced, {kind}, {word}"] = slow_area(others + few, labels, len(few), "pr")
        precisions = []
        for s, n in COUNTS.items():
            for k in range(1, 6):
                away = [[near(of(s, 0, i, noise), of(s, k, j, noise)) for j in range(n)] for i in range(n)]
                nearest = [row.index(min(row)) for row in away]
                labels = [j == i for i, j in enumerate(nearest)]
                precisions.append(slow_area([min(row) for row in away], labels, n, "pr"))
        found[f"matching, {word}"] = np.mean(precisions)
        for size in pools:
            precisions = []
            for s, i in lists["retr_queries"]:
                asked = of(s, 0, i, noise)
                right = [near(asked, of(s, k, i, noise)) for k in range(1, 6)]
                away = [near(asked, of(r, 0, j, noise)) for r, j in lists["retr_distractors"] if r != s]
                pool = (right + away)[:size]
                precisions.append(slow_area(pool, [True] * 5 + [False] * (len(pool) - 5), 5, "pr"))
            found[f"retrieval, {size} patches, {word}"] = np.mean(precisions)
    return found


@pytest.mark.parametrize("distance", ["euclidean", "hamming"])
def test_tasks_follow_their_definitions(made, distance, monkeypatch):
    """On random descriptors; those of 6 bits tie all the time, where the order of the lists decides."""
    monkeypatch.setattr(tasks_of, "POOLS", (6, 12, 100))
    rng = np.random.default_rng(1)
    width = 3 if distance == "euclidean" else 6
    scale = {"r": 0, "e": 0.3, "h": 0.6, "t": 1.0}
    values = {}
    for name, n in COUNTS.items():
        clean = rng.normal(size=(n, width))
        values[name] = {t: clean + scale[t[0]] * rng.normal(size=clean.shape) for t in TYPES}
        values[name] = {t: v > 0 if distance == "hamming" else v.astype(np.float32) for t, v in values[name].items()}
    lists = random_tasks(rng)
    number = {name: i for i, name in enumerate(COUNTS)}
    rows = {k: np.array([[number.get(v, v) for v in row] for row in r]) for k, r in lists.items()}
    joined = np.concatenate([values[name][t] for name in COUNTS for t in TYPES])
    found = Sequences(COUNTS, joined, distance)
    negatives = {"inter": rows["verif_neg_inter"], "intra": rows["verif_neg_intra"]}
    fast = tasks_of.verification(found, rows["verif_pos"], negatives) | tasks_of.matching(found)
    fast |= tasks_of.retrieval(found, rows["retr_queries"], rows["retr_distractors"])
    slow = slow_tasks(values, lists, (6, 12, 100))
    assert fast.keys() == slow.keys()
    np.testing.assert_allclose([fast[k] for k in slow], list(slow.values()), atol=1e-4)


def test_average_precision_by_hand():
    """Hit, miss, hit of three: (1 + 1) / 2 / 3, then (1 / 2 + 2 / 3) / 2 / 3, and one that is never found."""
    assert average_precision(np.array([1, 2, 3]), np.array([True, False, True]), 3) == pytest.approx((1 + 7 / 12) / 3)


def test_files_are_read(made):
    folder, tasks = made
    check_hpatches(folder, tasks, "a")
    assert read_split(tasks, "a") == [*COUNTS]
    patches = read_sequence(folder / "v_three")
    strip = np.asarray(PIL.Image.open(folder / "v_three" / "h2.png"))
    assert patches.shape == (16, 8, 65, 65)
    assert (patches[TYPES.index("h2"), 3] == strip[3 * 65 : 4 * 65]).all()
    rows = read_task(tasks, "verif_pos", "a", COUNTS)
    text = (tasks / "verif_pos_split-a.csv").read_text().splitlines()[1].split(",")
    assert rows[0].tolist() == [[*COUNTS].index(text[0]), *map(int, text[1:3]), rows[0, 3], *map(int, text[4:])]
    results = evaluate_hpatches(describe_sequences(RootSift(), str(folder), [*COUNTS]), str(tasks))
    assert len(results) == 3 * (4 + 1 + len(tasks_of.POOLS))
    assert results["matching, easy"] == pytest.approx(100)
    assert results["verification, balanced, inter, easy"] > 90


def test_descriptors_stand_where_rows_says(made):
    """The descriptor of patch 4 of the third tough image of the second sequence."""
    found = describe_sequences(RootSift(), str(made[0]), [*COUNTS])
    patch = resampled(read_sequence(made[0] / "v_two")[TYPES.index("t3")][4:5])
    row = found.rows(np.array([1]), np.array([3]), np.array([4]), "t")
    np.testing.assert_array_equal(found.values[row], RootSift().describe(patch))


def test_resampled_is_the_same_square():
    y, x = np.mgrid[:65, :65] + 0.5
    ramp = (x + 2 * y)[None] * (64 / 65)
    y, x = np.mgrid[:64, :64] + 0.5
    assert np.abs(resampled(ramp.astype(np.uint8)).astype(float) - (x + 2 * y)).max() < 1.6


BROKEN = {
    "no split 'b'; valid: a": lambda folder, tasks: read_split(tasks, "b"),
    "splits.json is missing: get it": lambda folder, tasks: read_split(folder, "a"),
    "verif_pos_split-b.csv is missing: get it": lambda folder, tasks: read_task(tasks, "verif_pos", "b", COUNTS),
    "split-a.csv:2: .* is no sequence": lambda folder, tasks: read_task(tasks, "verif_pos", "a", {"x": 1}),
    "no such image or patch": lambda folder, tasks: read_task(tasks, "retr_queries", "a", dict.fromkeys(COUNTS, 1)),
    "sequence i_one in .* has no ref, e1": lambda folder, tasks: check_hpatches(tasks, tasks, "a"),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_missing_or_foreign_is_named(made, message):
    with pytest.raises(InputError, match=message):
        BROKEN[message](*made)


def test_a_pointer_in_place_of_a_list_is_named(made, tmp_path):
    """What a clone without git lfs holds."""
    (tmp_path / "verif_pos_split-a.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(InputError, match="found `version https://git-lfs"):
        read_task(tmp_path, "verif_pos", "a", COUNTS)


def test_a_strip_of_another_shape_is_named(made, tmp_path):
    for kind in TYPES:
        PIL.Image.new("L", (65, 130 if kind != "h5" else 65)).save(tmp_path / f"{kind}.png")
    with pytest.raises(InputError, match=r"h5\.png has 1 patches, but ref\.png has 2"):
        read_sequence(tmp_path)


def test_tables_have_a_column_for_values_and_bits(made, tmp_path, run_cli, monkeypatch):
    rng = np.random.default_rng(0)
    projection = rng.normal(size=(64, 24)).astype(np.float32)
    cheap = lambda network, patches: (patches[:, ::8, ::8].reshape(-1, 64) - np.float32(120)) @ projection  # noqa: E731
    monkeypatch.setattr(patch_descriptors, "_forward", cheap)  # a network takes its time
    monkeypatch.setattr(evaluate_patches, "FOLDER", tmp_path)  # nothing ships: one network is enough
    save_weights(tmp_path / "w.safetensors", patch_network("l2net128"), "l2net128", {})
    patches = np.repeat(rng.integers(0, 255, (9, 64, 64), np.uint8), 2, axis=0)
    write_phototour(tmp_path / "set", patches, np.repeat(np.arange(9), 2))
    settings = {"folders": f"[{tmp_path}/set]", "hpatches": made[0], "hpatches_tasks": made[1]}
    settings["crbnet_128"] = tmp_path / "w.safetensors"
    code, printed = run_cli("+pipeline=evaluate_patches", *(f"pipeline.{k}={v}" for k, v in settings.items()))
    assert code == 0, printed
    grid = json.loads((tmp_path / "run" / "table.json").read_text())["tables"][1]
    assert grid["header"] == ["task", "RootSIFT, real", "CRBNet 128, real", "CRBNet 128, bits"]
    found = evaluate_hpatches(describe_sequences(RootSift(), str(made[0]), [*COUNTS]), str(made[1]))
    assert {row[0]: row[1] for row in grid["rows"]} == pytest.approx(found)
    real = describe_sequences(PatchNetwork(str(tmp_path / "w.safetensors")), str(made[0]), [*COUNTS])
    found = dataclasses.replace(real, values=real.values > 0, distance="hamming")
    assert {row[0]: row[3] for row in grid["rows"]} == pytest.approx(evaluate_hpatches(found, str(made[1])))


def test_bars_are_the_means_of_the_tasks(tmp_path):
    found = {f"matching, {n}": v for n, v in (("easy", 30.0), ("hard", 20.0), ("tough", 10.0))}
    for n, v in (("easy", 90.0), ("hard", 80.0), ("tough", 70.0)):
        found |= {f"verification, imbalanced, {k}, {n}": v + d for k, d in (("inter", 2.0), ("intra", -2.0))}
        found |= {f"verification, balanced, {k}, {n}": 1.0 for k in ("inter", "intra")}
        found |= {f"retrieval, {k} patches, {n}": v / k for k in (100, 500)}
    assert task_means({"a": found}, "verification") == {"a": {"easy": 90.0, "hard": 80.0, "tough": 70.0}}
    assert task_means({"a": found}, "matching")["a"]["tough"] == 10.0
    assert task_means({"a": found}, "retrieval")["a"]["easy"] == pytest.approx((0.9 + 0.18) / 2)
    plot_tasks(tmp_path / "hpatches.png", {"a": found, "b": found})
    assert (tmp_path / "hpatches.png").read_bytes().startswith(b"\x89PNG")
