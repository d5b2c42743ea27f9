"""The compact global descriptor: what it is trained to do, that training does it, and what its component promises."""

import math
import shutil

import numpy as np
import PIL.Image
import pytest
import torch

from localize.io.images import read_photo
from localize.io.trunk_weights import shared_trunk
from localize.keys import file_stamp
from localize.networks.backbones import backbone
from localize.networks.compact import Compact as Network
from localize.networks.compact import described
from localize.networks.photo_maps import prepared
from localize.networks.small import SmallTrunk
from localize.pipelines import train_compact
from localize.retrieval.compact import Compact
from localize.train.compact import teacher
from localize.train.compact.batches import Recognition, ViewBatches
from localize.train.compact.loss import CompactLoss, Student, multi_similarity
from localize.train.compact.places import OTHER, SAME, UNKNOWN, read_places
from localize.train.compact.teacher import CHANNELS, main_components
from localize.train.compact.views import Cut, Views
from localize.train.loop.training_loop import TrainingLoop
from localize.train.photos.homographies import random_homography, warp
from localize.train.photos.photometric import random_change
from localize.types import InputError

from .conftest import CHECKOUT
from .generated_photos import textured


def slow_multi_similarity(vectors, relations, alpha=2.0, beta=50.0, margin=0.5, mined=0.1):
    """Wang et al., CVPR 2019: pairs are mined by equations 10 and 11, weighed by 12."""
    total = 0.0
    for i, anchor in enumerate(vectors):
        alike = [float(anchor @ other) for other in vectors]
        same = [j for j in range(len(vectors)) if relations[i][j] == SAME and j != i]
        other = [j for j in range(len(vectors)) if relations[i][j] == OTHER]
        if not same or not other:
            continue
        least, most = min(alike[j] for j in same), max(alike[j] for j in other)
        hard_same = [j for j in same if alike[j] < most + mined]
        hard_other = [j for j in other if alike[j] > least - mined]
        total += math.log(1 + sum(math.exp(-alpha * (alike[j] - margin)) for j in hard_same)) / alpha
        total += math.log(1 + sum(math.exp(beta * (alike[j] - margin)) for j in hard_other)) / beta
    return total / len(vectors)


def test_multi_similarity_is_its_definition():
    rng = np.random.default_rng(0)
    for seed in range(4):
        place = rng.integers(4, size=12)
        relations = np.where(place[:, None] == place, SAME, OTHER)
        unknown = rng.random((12, 12)) < 0.2
        relations[unknown | unknown.T] = UNKNOWN
        relations[seed] = UNKNOWN  # a row without partners
        x = rng.normal(size=(12, 8)) + rng.normal(size=(4, 8))[place]
        x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
        found = multi_similarity(torch.from_numpy(x), torch.from_numpy(relations))
        assert found.item() == pytest.approx(slow_multi_similarity(x, relations), rel=1e-5)


def write_photos(folder, seeds, lines=()):
    folder.mkdir(parents=True)
    for seed in seeds:
        PIL.Image.fromarray(textured(seed)).save(folder / f"{seed:02}.png")
    (folder / "places.txt").write_text("\n".join(lines))
    return str(folder)


def test_places_know_what_is_near_far_and_unknown(tmp_path):
    lines = ["00.png 0 0 0", "01.png 4 0 0 1 0 0", "02.png 0 3 0 -2 0 0  # looks back", "03.png 40 0 0 1 0 0"]
    lines += ["05.png 12 0 0 1 0 0"]
    places = read_places([write_photos(tmp_path / "a", range(6), lines), write_photos(tmp_path / "b", [7])])
    found = places.relations(same_m=6, same_deg=35, other_m=25)
    S, O, U = SAME, OTHER, UNKNOWN  # noqa: E741
    assert found.tolist() == [
        [S, S, S, O, U, U, O],
        [S, S, U, O, U, U, O],
        [S, U, S, O, U, U, O],
        [O, O, O, S, U, O, O],
        [U, U, U, U, S, U, O],
        [U, U, U, O, U, S, O],
        [O, O, O, O, O, O, S],
    ]
    for line, said in (("00.png 1 2", "is not: name"), ("00.png 1 2 3 0 0 0", "is not: name"), ("x 1 2 3", "photo x")):
        (tmp_path / "a" / "places.txt").write_text(f"# places\n{line}")
        with pytest.raises(InputError, match=rf"places.txt:2: .*{said}"):
            read_places([str(tmp_path / "a")])


def test_main_components_hold_what_varies():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 3)) * (9, 3, 1) @ np.linalg.qr(rng.normal(size=(6, 6)))[0][:3] + 5
    whole = main_components(vectors, 3, 0.0)(vectors)
    distances = [np.linalg.norm(v[:100, None] - v[None, :100], axis=2) for v in (whole, vectors)]
    assert np.allclose(*distances, atol=1e-3)
    assert np.allclose(main_components(vectors, 3, 1.0)(vectors).std(0), 1, atol=0.01)
    assert np.allclose(main_components(vectors, 2, 0.5)(vectors).std(0), (3, 3**0.5), rtol=0.1)


def test_the_teacher_tells_of_all_stages(monkeypatch):
    monkeypatch.setattr(teacher, "load_backbone", lambda name, path, **settings: backbone(name, **settings).eval())
    found = teacher.Teacher("none")
    images = 255 * torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        maps, vectors = found(images)
        network = found.network
        x = network.conv0(network.batchnorm0((images - network.mean) / network.std))
        x = torch.nn.functional.max_pool2d(torch.relu(network.batchnorm1(x)), 3, 2, 1)
        for stage, norm, seen in zip(
            network.stages, [*(s[0].norms[0] for s in network.stages[1:]), network.last], maps, strict=True
        ):
            x = stage(x)
            assert torch.allclose(torch.relu(norm(x)), seen, atol=1e-5)
    expected = seen.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    assert torch.allclose(expected / expected.norm(), vectors, atol=1e-5)
    assert [tuple(m.shape[2:]) for m in maps] == [(16, 24), (8, 12), (4, 6)]


class Blurred(torch.nn.Module):
    """A teacher that needs no weights: colours of cells, of nearly as many channels as wanted."""

    def __init__(self, path=None):
        super().__init__()
        self.mix = torch.linspace(-1, 1, 3 * 260).view(260, 3).sin() * 9

    def forward(self, images):
        maps = [torch.nn.functional.avg_pool2d(images / 255, s, s) for s in (4, 8, 16)]
        maps = [torch.einsum("kc,bchw->bkhw", self.mix, m).sin() for m in maps]
        return maps, torch.nn.functional.normalize(maps[-1].mean((2, 3)), dim=1)


SETTINGS = {"steps": 3, "batch_size": 4, "versions": 3, "shrink": 0.2, "validation_px": 64, "precision": "float32"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    train = write_photos(root / "train", range(4), ["00.png 0 0 0", "01.png 3 0 0", "02.png 90 0 0", "03.png 92 0 0"])
    lines = ["04.png 0 0 0", "05.png 50 0 0", "06.png 2 0 0", "07.png 49 0 0"]
    return {"train": [train], "validation": [write_photos(root / "other", range(4, 8), lines)], "queries": "04"}


def test_training_goes_on_and_writes_weights_that_work(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(train_compact, "Teacher", Blurred)
    monkeypatch.setattr(train_compact, "weights_file", lambda *_: __file__)
    update, calls = TrainingLoop.rate, []

    def dies(self, step):
        calls.append(step)
        if len(calls) == 5:  # the second time of step 2: each step asks twice
            raise KeyboardInterrupt
        return update(self, step)

    whole = train_compact.run(output=str(tmp_path / "whole"), **folders, **SETTINGS)
    assert "compact after 3 steps: recall at 1" in whole
    shutil.copytree(tmp_path / "whole" / "views", tmp_path / "parts" / "views")
    monkeypatch.setattr(Cut, "views", None)  # what the teacher saw is not made again
    monkeypatch.setattr(TrainingLoop, "rate", dies)
    with pytest.raises(KeyboardInterrupt):
        train_compact.run(output=str(tmp_path / "parts"), **folders, **SETTINGS, checkpoint_every=1)
    monkeypatch.setattr(TrainingLoop, "rate", update)
    train_compact.run(output=str(tmp_path / "parts"), **folders, **SETTINGS, checkpoint_every=1)
    photo = textured(1)
    found = [
        Compact(weights=str(tmp_path / o / "compact.safetensors")).describe(photo, None) for o in ("whole", "parts")
    ]
    assert np.array_equal(*found)
    with pytest.raises(InputError, match=r"night 0\.15, but now it is 0\.5"):
        train_compact.run(output=str(tmp_path / "parts"), **folders, **SETTINGS, night=0.5)


def test_settings_that_cannot_be_are_refused(folders, tmp_path):
    bad = folders | {"validation": folders["train"], "train": folders["train"]}
    with pytest.raises(InputError, match="validate on other places"):
        train_compact.run(output=str(tmp_path), **bad)
    with pytest.raises(InputError, match="batch_size is 3"):
        train_compact.run(output=str(tmp_path), **folders, batch_size=3)
    places = read_places(folders["validation"])
    with pytest.raises(InputError, match="no names that start with 'x'"):
        Recognition(places, "x", 12, 64)


def test_recall_counts_right_references(folders):
    judge = Recognition(read_places(folders["validation"]), "04", 12, 64)
    near = {"recall_1": 0.0, "recall_5": 100.0}  # only 06 is right
    assert judge.measured(np.array([[1.0, 0]]), np.array([[1, 0], [0.5, 0], [0, 1.0]])) == near
    assert judge.measured(np.array([[1.0, 0]]), np.array([[0, 1], [0.5, 0], [0, 1.0]]))["recall_1"] == 100


def small_views(num=4, versions=4):
    rng = np.random.default_rng(0)
    pixels = np.stack([textured(i // versions, (64, 48)) for i in range(num * versions)])
    sizes = [(48 // s, 64 // s) for s in (4, 8, 16)]
    maps = [rng.normal(size=(1, k, h, w)).repeat(len(pixels), 0) for k, (h, w) in zip(CHANNELS, sizes, strict=True)]
    vectors = rng.normal(size=(num, 256)).repeat(versions, 0).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Views(pixels, [m.astype(np.float16) for m in maps], vectors, versions)


def test_batches_pair_places_and_never_a_photo_with_its_mirror_image():
    relations = np.full((4, 4), OTHER) + (SAME - OTHER) * np.eye(4, dtype=int)
    batches = ViewBatches(small_views(), relations, 8, seed=1)
    first, again = batches(3), batches(3)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, batches(4).images)
    assert torch.equal(first.vectors[:4], first.vectors[4:])  # i and i + 4 show one place
    same = first.relations == SAME
    assert same[torch.arange(4), torch.arange(4) + 4].all()
    photos, versions = batches._drawn(3, np.random.default_rng([1, 3, 2]))
    assert torch.equal(first.vectors, torch.from_numpy(batches.views.vectors[photos * 4 + versions]))
    assert ((versions[:4] - versions[4:]) % 2 == 0).all()


def test_the_teachers_maps_follow_the_shrunk_view():
    views = small_views()
    maps = []
    for stride, known in zip((4, 8, 16), views.maps, strict=True):  # each cell tells which pixel it looks at
        y, x = np.mgrid[: known.shape[2], : known.shape[3]] * stride
        maps.append(np.stack([x, y]).astype(np.float16)[None].repeat(len(known), 0))
    batches = ViewBatches(Views(views.pixels, maps, views.vectors, 4), np.eye(4), 4, shrink=0.75)
    batch = batches(0)
    assert batch.images.shape == (4, 3, 36, 48)
    for stride, seen in zip((4, 8, 16), batch.maps, strict=True):
        assert seen.shape[2:] == (-(-36 // stride), 48 // stride)
        for axis, size in ((1, 48), (0, 64)):
            last = size - stride  # beyond the last known cell its value goes on
            expected = np.minimum(np.arange(seen.shape[2 if axis else 3]) * stride / 0.75, last)
            found = seen[0, axis].mean(1 if axis else 0)
            assert np.allclose(found, expected, atol=0.02)


def test_distillation_learns_what_the_teacher_saw():
    torch.manual_seed(0)
    views = small_views()
    batches = ViewBatches(views, np.eye(4, dtype=int) * 2 - 1, 8, change=0.3)
    student, loss = Student(), CompactLoss()
    optimizer = torch.optim.Adam(student.parameters(), 0.003)
    totals = []
    for step in range(12):
        terms = loss(student, batches(step))
        totals.append({k: v.item() for k, v in terms.items()})
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
    for term in ("maps", "vector"):
        assert totals[-1][term] < 0.75 * totals[0][term], totals


@pytest.mark.parametrize("multi_scale", [False, True])
def test_the_component_keeps_its_contract(multi_scale):
    compact = Compact(multi_scale=multi_scale)
    assert compact.preflight() == []
    learned = compact.fit(None)  # looks at nothing
    photo = textured(3)
    found = compact.describe(photo, learned)
    assert found.shape == (256,)
    assert found.dtype == np.float32
    assert np.array_equal(found, compact.describe(photo, learned))
    one = photo[..., 1]
    others = [photo[:1, :1], photo[:1], one, np.zeros_like(photo), np.full_like(photo, 255), photo.repeat(4, 0)]
    for other in others:
        assert np.linalg.norm(compact.describe(other, learned)) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(compact.describe(one, learned), compact.describe(one[..., None].repeat(3, 2), learned))
    assert not compact.describe(photo[:0], learned).any()


def test_bfloat16_hardly_changes_a_descriptor():
    photo = textured(3)
    exact, short = (Compact(precision=p).describe(photo, None) for p in ("float32", "bfloat16"))
    assert 0.995 < exact @ short < 1 - 1e-9


def test_a_shared_trunk_is_asked_once(monkeypatch):
    photo, calls = textured(3), []
    forward = SmallTrunk.forward
    monkeypatch.setattr(SmallTrunk, "forward", lambda self, images: calls.append(1) or forward(self, images))
    shared = Compact(one_pass=True, max_edge_px=1000, precision="float32")
    image = torch.tensor(photo, dtype=torch.float32).permute(2, 0, 1)[None]
    with torch.inference_mode():
        shared_trunk(shared.trunk(), file_stamp(shared.trunk()))(image)  # as a local feature does
    found = shared.describe(photo, None)
    assert len(calls) == 1
    alone = Compact(max_edge_px=1000, precision="float32")
    assert alone.trunk() is None
    assert np.allclose(found, alone.describe(photo, None), atol=1e-5)


def test_wrong_weights_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    assert Compact(weights=str(path)).preflight()[0].startswith(f"weights file {path} is missing")
    train_compact.write_tensors(path, torch.nn.Linear(2, 2), {})
    assert "holds other tensors (" in Compact(weights=str(path)).preflight()[0]


def test_the_shipped_weights_know_places_again():
    """Photos of Minitown's streets, seen from elsewhere and in other light or at night."""
    rng = np.random.default_rng(0)
    names = sorted((CHECKOUT / "datasets/minitown_photos/db").glob("*.jpg"))[::8][:9]
    photos = [read_photo(name)[::2, ::2] for name in names]
    how = {"rotation_deg": 5, "scale": (1.1, 1.3), "shear": 0.05, "perspective": 0.1}
    changed = [
        random_change(warp(p, random_homography(rng, p.shape[1::-1], **how)), rng, 0.7, night_share=0.3) for p in photos
    ]
    torch.manual_seed(0)
    untrained = prepared(Network().eval(), "float32")

    def right(describe):
        a, b = (np.stack([describe(p) for p in ps]) for ps in (changed, photos))
        return ((a @ b.T).argmax(1) == np.arange(len(a))).sum()

    shipped, random = (
        right(lambda photo: Compact().describe(photo, None)),
        right(lambda photo: described(untrained, photo)),
    )
    assert shipped >= random + 3
    assert shipped >= 7
