"""What patch descriptors are judged by: FPR95, their bits, HPatches; and the table of it all."""

import csv
import itertools
import json

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.ndimage import gaussian_filter

from localize.evaluate.patches.bits import bit_statistics, plot_bits
from localize.evaluate.patches.descriptors import (
    PatchNetwork,
    RootSift,
    TFeat,
    distance_matrix,
    pair_distances,
)
from localize.evaluate.patches.fpr95 import fpr95
from localize.evaluate.published import read_patch_figures
from localize.io.benchmarks.phototour import draw_pairs, read_phototour, write_pairs, write_phototour
from localize.kernels.patches import extract_patches
from localize.kernels.sift_descriptor import describe
from localize.networks.patches import TFeat as TFeatNetwork
from localize.networks.patches import patch_network
from localize.pipelines.judging import evaluate_patches
from localize.types import InputError
from localize.weights.patches import save_weights


def slow_fpr95(positive, negative):
    """Every positive distance is tried as the threshold, from the smallest on."""
    for threshold in sorted(positive):
        if 100 * sum(p <= threshold for p in positive) >= 95 * len(positive):
            return 100 * sum(n <= threshold for n in negative) / len(negative)


@pytest.mark.parametrize("num", [1, 2, 19, 20, 21, 40, 100, 101, 237])
@pytest.mark.parametrize("draw", ["reals", "hamming"])
def test_fpr95_is_the_count(num, draw):
    rng = np.random.default_rng(num)
    if draw == "reals":
        positive, negative = rng.uniform(0, 1.2, num), rng.uniform(0.4, 2, 300)
    else:  # whole numbers: many ties
        positive, negative = rng.binomial(256, 0.2, num), rng.binomial(256, 0.25, 300)
    assert fpr95(positive, negative) == pytest.approx(slow_fpr95(positive.tolist(), negative.tolist()), abs=1e-12)


def test_fpr95_counts_ties_and_refuses_nothing_and_nan():
    assert fpr95([1] * 19 + [9], [1, 1, 2, 3]) == 50
    assert fpr95([3] * 5, [3] * 5) == 100
    for positive, negative in (([], [1]), ([1], []), ([np.nan], [1])):
        with pytest.raises(ValueError, match=r"distances"):
            fpr95(positive, negative)


def random_codes(rng, num_points=30, num_bits=9):
    """Codes (N, K) of points seen one to five times, with bits that copy each other, are mostly 1, and never change."""
    points = rng.permutation(np.repeat(np.arange(num_points) * 3, rng.integers(1, 6, num_points)))
    codes = rng.random((len(points), num_bits)) < np.linspace(0.1, 0.9, num_bits)
    codes[:, 1] = ~codes[:, 0]
    codes[:, 2] = True
    return codes, points


def test_bits_by_their_definition():
    codes, points = random_codes(np.random.default_rng(0))
    found = bit_statistics(codes, points)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(points)), 2) if points[i] == points[j]]
    for k in range(codes.shape[1]):
        assert found.ones[k] == pytest.approx(sum(codes[:, k]) / len(codes))
        assert found.flips[k] == pytest.approx(sum(codes[i, k] != codes[j, k] for i, j in pairs) / len(pairs))
    slow = [
        0 if 2 in (k, m) else abs(np.corrcoef(codes[:, k].astype(float), codes[:, m].astype(float))[0, 1])
        for k, m in itertools.combinations(range(codes.shape[1]), 2)
    ]
    np.testing.assert_allclose(found.correlations, slow, atol=1e-5)
    assert found.correlations[0] == pytest.approx(1, abs=1e-5)
    assert found.flip_rate == pytest.approx(found.flips.mean())
    with pytest.raises(ValueError, match="no point has two"):
        bit_statistics(codes[:3], np.arange(3))


def test_bits_are_drawn(tmp_path):
    plot_bits(tmp_path / "bits.png", {"crbnet": bit_statistics(*random_codes(np.random.default_rng(0)))})
    with PIL.Image.open(tmp_path / "bits.png") as picture:
        assert np.ptp(np.asarray(picture)) > 100


def random_patches(num, seed=0):
    """Smooth patches (N, 64, 64) uint8 that differ."""
    rng = np.random.default_rng(seed)
    waves = [np.kron(rng.uniform(0, 255 / 2, (num, s, s)), np.ones((64 // s, 64 // s))) for s in (8, 16)]
    return sum(waves).astype(np.uint8)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file of random weights of the small network of 128 values."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "l2net128.safetensors"
    save_weights(path, patch_network("l2net128"), "l2net128", {})
    return str(path)


def test_rootsift_of_a_patch_is_that_of_the_photo():
    """A patch cut with all that SIFT looks at, 15 sigma, gives the descriptor that the photo gives."""
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.uniform(0, 255, (300, 300)), 2)
    photo = np.clip((noise - noise.mean()) * 6 + 128, 0, 255).astype(np.uint8)
    xy, sigma, angle = rng.uniform(120, 180, (40, 2)), rng.uniform(3, 6, 40), rng.uniform(0, 6, 40)
    cut, rows = extract_patches(photo, xy, sigma, angle, coefficient=15, side=64)
    there, here = describe(photo, xy[rows], sigma[rows], angle[rows], 0), RootSift().describe(cut.astype(np.uint8))
    assert len(rows) == 40
    assert (there * here).sum(1).mean() > 0.98
    assert (there * np.roll(here, 1, axis=0)).sum(1).mean() < 0.9


def test_networks_describe_patches(weights):
    patches = random_patches(300)
    real = PatchNetwork(weights).describe(patches)
    np.testing.assert_allclose(np.linalg.norm(real, axis=1), 1, atol=1e-5)
    assert real.shape == (300, 128)
    with torch.inference_mode():  # one by one, halved by hand
        small = patches[299].reshape(32, 2, 32, 2).mean((1, 3))
        alone = PatchNetwork(weights).network(torch.tensor(np.floor(small + 0.5), dtype=torch.float32)[None, None])
    np.testing.assert_allclose(real[299], alone[0], atol=1e-4)
    assert PatchNetwork(weights).describe(patches[:0]).shape == (0, 128)


def test_tfeat_reads_what_its_authors_published(tmp_path, weights):
    torch.save(TFeatNetwork().state_dict(), tmp_path / "tfeat.params")
    assert TFeat(str(tmp_path / "tfeat.params")).describe(random_patches(3)).shape == (3, 128)
    (tmp_path / "text.params").write_text("no weights at all")
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.params")
    for name in ("text.params", "other.params", weights):
        with pytest.raises(InputError, match=r"give weights of TFeat|no weights file"):
            TFeat(str(tmp_path / name)).describe(random_patches(1))
    with pytest.raises(InputError, match=r"none\.params is missing"):
        TFeat(str(tmp_path / "none.params")).describe(random_patches(1))


@pytest.mark.parametrize("distance", ["euclidean", "hamming"])
def test_distances_by_their_definition(distance):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 9)).astype(np.float32), rng.normal(size=(6, 9)).astype(np.float32)
    if distance == "hamming":
        a, b = a > 0, b > 0
    slow = [[sum(x != y) if distance == "hamming" else np.sqrt(sum((x - y) ** 2)) for y in b] for x in a]
    np.testing.assert_allclose(distance_matrix(a, b, distance), slow, rtol=1e-4)
    np.testing.assert_allclose(pair_distances(a, b, distance), np.diag(slow), rtol=1e-5)


@pytest.fixture
def folders(tmp_path):
    """Two folders of patches seen three times with noise; only the first has a list of pairs."""
    rng = np.random.default_rng(0)
    for name in ("here", "there"):
        clean = np.repeat(random_patches(20, seed=rng.integers(99)), 3, axis=0)
        noisy = np.clip(clean + rng.normal(0, 60, clean.shape), 0, 255).astype(np.uint8)
        write_phototour(tmp_path / name, noisy, np.repeat(np.arange(20), 3))
    points = np.repeat(np.arange(20), 3)
    first, second, _ = draw_pairs(points, 25, seed=5)
    write_pairs(tmp_path / "here", "m50_50_50_0.txt", first, second, points)
    return tmp_path / "here", tmp_path / "there", (first, second)


def test_table_of_all_rows(folders, weights, tmp_path, run_cli):
    here, there, (first, second) = folders
    torch.save(TFeatNetwork().state_dict(), tmp_path / "tfeat.params")
    settings = [f"pipeline.{name}={weights}" for name in ("crbnet", "crbnet_n", "crbnet_128")]
    settings += [f"pipeline.folders=[{here},{there}]", f"pipeline.tfeat={tmp_path}/tfeat.params", "workers=2"]
    code, printed = run_cli("+table=crbnet", *settings)
    assert code == 0, printed
    rows = list(csv.DictReader((tmp_path / "run" / "table.csv").read_text().splitlines()))
    ours = {(r["method"], r["values"]): r for r in rows if r["table"] == "ours"}
    networks = [(name, kind) for name in ("CRBNet", "CRBNet(N)", "CRBNet 128") for kind in ("real", "bits")]
    assert [*ours] == [("RootSIFT", "real"), ("TFeat", "real"), *networks]
    patches = read_phototour(here)[0]
    values = PatchNetwork(weights).describe(patches)
    for key, d in (
        (("RootSIFT", "real"), RootSift().describe(patches)),
        (("CRBNet", "real"), values),
        (("CRBNet", "bits"), (values > 0).astype(float)),
    ):
        away = [np.linalg.norm(d[i] - d[j]) for i, j in zip(first, second, strict=True)]  # of bits: the root of Hamming
        assert float(ours[key]["here"]) == pytest.approx(slow_fpr95(away[:25], away[25:]), abs=1e-3)
        assert float(ours[key]["mean"]) == pytest.approx((float(ours[key]["here"]) + float(ours[key]["there"])) / 2)
    assert ours["CRBNet", "bits"]["bytes"] == "16"
    assert ours["CRBNet", "real"]["bytes"] == "512"
    assert {r["mean"] for r in rows if r["table"] == "published" and r["method"] == "CRBNet+"} == {"0.98", "2.98"}
    for name in ("table.txt", "table.md", "table.tex", "bits.png"):
        assert (tmp_path / "run" / name).stat().st_size
    assert "50 pairs, m50_50_50_0.txt" in printed
    assert "there: 80 pairs, drawn with seed 0" in printed


def test_rows_without_weights_say_so(folders, tmp_path, run_cli, monkeypatch):
    monkeypatch.setattr(evaluate_patches, "FOLDER", tmp_path)
    code, printed = run_cli("+pipeline=evaluate_patches", f"pipeline.folders=[{folders[0]}]")
    assert code == 0, printed
    assert "CRBNet: no weights of it ship with this version; pipeline.crbnet=FILE adds a row" in " ".join(
        printed.split()
    )
    found = json.loads((tmp_path / "run" / "table.json").read_text())["tables"]
    assert [row[0] for row in found[0]["rows"]] == ["RootSIFT"]


def test_all_that_is_missing_is_named_at_once(folders, tmp_path, run_cli):
    missing = ("folders=[/no/one,/no/two]", "crbnet=/no/weights.safetensors", "tfeat=/no/tfeat", "hpatches=/no/release")
    code, printed = run_cli("+table=crbnet", *(f"pipeline.{m}" for m in missing))
    assert code == 2
    for part in (
        "folder /no/one is",
        "folder /no/two is",
        "/no/weights.safetensors is missing",
        "/no/tfeat is",
        "hpatches_tasks=",
    ):
        assert part in printed
    assert "5 problems" in printed
    assert not list(tmp_path.glob("run/table*"))
    code, printed = run_cli("+table=crbnet", f"pipeline.folders={folders[0]}")
    assert code == 2
    assert "must be a list of different ones" in printed


def test_published_figures_are_those_of_the_paper():
    figures = read_patch_figures()
    assert all(len(row) == len(figures.header) for row in figures.rows)
    for row in figures.rows:  # the printed means are those of the printed figures, but for their rounding
        cells = [c for c in row[3:-1] if c is not None]
        assert row[-1] == pytest.approx(np.mean(cells), abs=0.025), row
