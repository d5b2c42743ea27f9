"""Objects by LOST and by a query: step by step against slow twins, and on maps and photos whose object is known."""

import dataclasses

import numpy as np
import pytest

from localize.retrieval import objects
from localize.retrieval.objects import FoundObject, MeanFeature, ObjectFinder
from localize.retrieval.salient import normalised, salient_cells, seed_and_similar
from localize.types import InputError
from tests.conftest import unit
from tests.generated_photos import textured


def slow_seed(similarity, most, sign=1):
    n = len(similarity)
    degree = [sum(max(similarity[i, j], similarity[j, i]) > 0 for j in range(n) if j != i) for i in range(n)]
    order = sorted(range(n), key=lambda i: sign * degree[i])
    similar = {j for j in order[:most] if similarity[order[0], j] > 0}
    return order[0], sorted(similar | {order[0]})


def slow_component(mask, start):
    """By walking from neighbour to neighbour."""
    seen, waiting = {start}, [start]
    while waiting:
        y, x = waiting.pop()
        for there in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= there[0] < mask.shape[0] and 0 <= there[1] < mask.shape[1]
            if inside and mask[there] and there not in seen:
                seen.add(there)
                waiting.append(there)
    return seen


def test_seed_and_expansion_equal_the_slow_ones():
    rng = np.random.default_rng(0)
    for n in (1, 2, 30, 60):
        features = rng.normal(size=(n, 4)) + 0.4
        similarity = features @ features.T
        for highest, sign in ((False, 1), (True, -1)):
            seed, similar = seed_and_similar(similarity, max(1, n // 3), highest=highest)
            assert (seed, similar.tolist()) == slow_seed(similarity, max(1, n // 3), sign)


def test_lost_equals_the_slow_one():
    maps = np.random.default_rng(1).normal(size=(7, 9, 6)).astype(np.float32)
    features = maps.reshape(-1, 6)
    features = (features - features.mean()) / np.sqrt(features.var() + 1e-5)
    seed, similar = slow_seed(features @ features.T, 20)
    total = (features @ features.T)[similar].sum(0).reshape(7, 9)
    expected = slow_component(total > 0, divmod(seed, 9))
    assert {tuple(map(int, at)) for at in np.argwhere(salient_cells(maps, 20))} == expected
    assert 1 < len(expected) < 63
    assert normalised(features).std() == pytest.approx(1, abs=1e-4)


def test_lost_finds_the_odd_part_of_a_map_and_bears_one_of_one_colour():
    rng = np.random.default_rng(2)
    maps = rng.normal([1, 0, 0, 0], 0.2, (10, 12, 4))
    maps[2:5, 6:10] = rng.normal([-1, 1, 0, 0], 0.2, (3, 4, 4))
    expected = np.zeros((10, 12), bool)
    expected[2:5, 6:10] = True
    assert np.array_equal(salient_cells(maps, 20), expected)
    assert salient_cells(np.ones((3, 4, 2)), 100).sum() == 1


class Colours:
    """A network whose map holds the colours of cells of 8 px, looked at in their middle."""

    stride, offset, channels = 8, 3.5, 3


@pytest.fixture
def colours(monkeypatch):
    """A finder that sees colours: (finder, what it takes for a network)."""
    torch = pytest.importorskip("torch")

    def maps_of(network, photo, edge):
        assert max(photo.shape) <= edge
        short = [-side % 72 if side < 67 else 0 for side in photo.shape[:2]]  # small photos are filled up
        filled = np.pad(photo, [(0, short[0]), (0, short[1]), (0, 0)]).astype(np.float32)
        rows, columns = (side // 8 for side in filled.shape[:2])
        cells = filled[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3).mean((1, 3))
        return [torch.from_numpy(cells).permute(2, 0, 1)[None]]

    monkeypatch.setattr(objects.net, "maps_of", maps_of)
    monkeypatch.setattr(ObjectFinder, "_network", lambda self: Colours)
    return ObjectFinder(seed="lowest", context=False)


def painted(*boxes) -> np.ndarray:
    """Grey, with boxes (left, top, right, bottom, colour)."""
    photo = np.full((120, 160, 3), 100, np.uint8)
    for left, top, right, bottom, colour in boxes:
        photo[top:bottom, left:right] = colour
    return photo


RED, BLUE = (200, 60, 60), (60, 60, 200)


def test_an_object_is_found_where_it_is_and_its_score_is_the_mean_similarity(colours):
    query = painted((80, 40, 120, 80, RED))
    photos = [painted((16, 24, 56, 48, RED), (96, 72, 136, 96, BLUE)), painted((0, 0, 40, 40, BLUE)), query]
    learned = colours.learn(photos)
    wanted = colours.learn_query(query, (80, 40, 120, 80), learned)
    found = colours.find(photos[0], [wanted, -wanted], learned).objects
    assert found[0].box.tolist() == [16, 24, 56, 48]
    assert found[0].polygon.tolist() == [[16, 24], [56, 24], [56, 48], [16, 48]]
    assert found[0].score == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(found[1].box, found[0].box)  # what is most unlike it
    assert colours.find(photos[1], [wanted], learned).objects == (None,)
    assert colours.find(query, [wanted], learned).objects[0].box.tolist() == [80, 40, 120, 80]


def test_steps_two_and_three_equal_the_slow_ones():
    """Threshold, component, score: from a drawn table of similarities."""
    rng = np.random.default_rng(3)
    for tau, rho in ((0.1, 0.4), (0.0, 0.0), (0.3, 1.0), (2.0 / 3, 0.2)):
        finder = ObjectFinder(tau=tau, rho=rho)
        cells = objects._Cells(np.zeros((8, 6, 1), np.float32), 10.0 * np.arange(7), 10.0 * np.arange(9))
        similarity = rng.uniform(-0.5, 0.6, (8, 6)).astype(np.float32)
        best = max((similarity[at], at) for at in np.ndindex(8, 6))
        found = finder._found(cells, similarity)
        if best[0] <= tau:
            assert found is None
            continue
        mask = similarity > max(tau, rho * best[0])
        mask[best[1]] = True
        component = np.array(sorted(slow_component(mask, best[1])))
        (top, left), (bottom, right) = component.min(0), component.max(0) + 1
        assert found.box.tolist() == [10 * left, 10 * top, 10 * right, 10 * bottom]
        assert found.score == pytest.approx(np.mean([similarity[tuple(at)] for at in component]))


def test_the_query_is_its_box_alone_at_the_scale_of_its_photo(colours, monkeypatch):
    query = painted((80, 40, 120, 80, RED))
    learned = MeanFeature(np.zeros(3))
    sizes, plain = [], objects.net.maps_of

    def noted(network, photo, edge):
        sizes.append((photo.shape[:2], edge))
        return plain(network, photo, 10**6)

    monkeypatch.setattr(objects.net, "maps_of", noted)
    finder = dataclasses.replace(colours, max_edge_px=80)
    wanted = finder.learn_query(query, (80, 40, 120, 80), learned)
    assert sizes == [((40, 40), 20)]  # half of it, as its photo
    assert wanted == pytest.approx(unit(np.array([RED], float))[0], abs=1e-5)  # neither the grey nor the filling
    sizes.clear()
    whole = dataclasses.replace(colours, context=True)
    assert whole.learn_query(query, (80, 40, 120, 80), learned) == pytest.approx(wanted, abs=1e-5)
    assert sizes == [((120, 160), 1024)]
    near = whole.learn_query(query, (81, 41, 82, 42), learned)  # no middle of a cell lies in it: the next cell
    assert near == pytest.approx(wanted, abs=1e-5)


def test_the_query_starts_from_what_fills_the_box_or_from_what_stands_out(colours):
    photo = painted((40, 40, 120, 80, RED), (40, 40, 56, 48, BLUE))
    learned = MeanFeature(np.full(3, 100.0))
    for context in (False, True):
        finder = dataclasses.replace(colours, context=context)
        odd = finder.learn_query(photo, (40, 40, 120, 80), learned)
        full = dataclasses.replace(finder, seed="highest").learn_query(photo, (40, 40, 120, 80), learned)
        assert odd[2] > odd[0]
        assert full[0] > full[2]


def test_cells_reach_the_border_of_the_original_photo():
    """A photo of 203 x 131 px has 13 x 9 cells that look at 0, 16 ... px; shrunk to half of it, half as many."""
    for edge, count in ((1024, (9, 13)), (102, (5, 7))):
        cells = ObjectFinder(max_edge_px=edge)._cells(np.zeros((131, 203, 3), np.uint8))
        assert cells.features.shape == (*count, 512)
        assert (cells.across[0], cells.across[-1], cells.down[-1]) == (0, 203, 131)
        assert cells.across[1] == pytest.approx(8.5 * 203 / min(edge, 203))
        assert np.allclose(np.diff(cells.down)[1:-1], 16 * 131 / round(131 * min(1, edge / 203)))


@pytest.mark.parametrize("backbone", ["compact", "small"])
def test_each_shipped_backbone_finds_a_photo_in_itself(backbone):
    photo = textured(4)
    photo[60:140, 80:180] = textured(5)[60:140, 80:180, ::-1] // 3
    finder = ObjectFinder(backbone=backbone, tau=0.0)
    learned = finder.learn([photo, textured(6)])
    wanted = finder.learn_query(photo, (80, 60, 180, 140), learned)
    assert wanted.shape == learned.mean.shape
    (found,) = finder.find(photo, [wanted], learned).objects
    assert isinstance(found, FoundObject)
    assert finder.preflight() == []
    left, top, right, bottom = finder.salient(photo).box
    assert 0 <= left < right <= 240
    assert 0 <= top < bottom <= 200


def test_what_cannot_be_used_is_said():
    learned = MeanFeature(np.zeros(512))
    with pytest.raises(InputError, match=r"holds no pixel of a photo of 240 x 200 px"):
        ObjectFinder().learn_query(textured(1), (300, 10, 320, 30), learned)
    with pytest.raises(InputError, match="at most 8192 can be compared"):
        ObjectFinder(backbone="small").salient(np.zeros((600, 600, 3), np.uint8))
    for bad in ({"backbone": "dino"}, {"rho": 1.5}, {"member_share": 0}, {"stage": 4}):
        with pytest.raises(InputError, match=f"ObjectFinder.{next(iter(bad))}"):
            ObjectFinder(**bad)
    assert "weights" in ObjectFinder(weights="/none.safetensors").preflight()[0]
