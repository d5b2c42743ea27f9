"""What the compact descriptor is trained on: places, what a teacher sees, and batches of views."""

import numpy as np
import pytest
import torch

from localize.networks.backbones import backbone
from localize.train.compact import teacher
from localize.train.compact.batches import ViewBatches
from localize.train.compact.places import OTHER, SAME, UNKNOWN, read_places
from localize.train.compact.teacher import main_components
from localize.train.compact.views import Views
from localize.types import InputError
from tests.train.compact_data import small_views, write_photos


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
