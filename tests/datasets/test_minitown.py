"""The embedded benchmark: what is in the package, and that a corner of it is localized."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from localize.datasets.minitown import Minitown
from localize.pipelines import parallel_search
from localize.store import Store
from localize.types import ImageList, InputError
from tests.conftest import CHECKOUT, FEATURE

PHOTOS = CHECKOUT / "datasets" / "minitown_photos"


@pytest.fixture(scope="module")
def town():
    return Minitown().load()


def test_conditions_and_cameras(town):
    assert len(town.references) >= 90
    counts = {tags: sum(q.tags == tags for q in town.queries) for tags in {q.tags for q in town.queries}}
    assert set(counts) == {("day",), ("viewpoint",), ("night",), ("rain",)}
    assert min(counts.values()) >= 20
    assert len({q.camera.params[3] for q in town.queries}) == 2  # two lenses, each with zooms
    assert all(q.pose is None for q in town.queries)
    assert {i.name for i in town.ground_truth} == set(town.queries.names)
    only = Minitown(conditions=("night",)).load()
    assert {q.tags for q in only.queries} == {("night",)}
    with pytest.raises(InputError, match=r"there is no condition noon in .*: choose among day, night, rain, viewpoint"):
        Minitown(conditions=("noon",)).load()


def test_photos_are_small_and_of_high_quality():
    paths = sorted(PHOTOS.rglob("*.jpg"))
    assert sum(p.stat().st_size for p in paths) <= 12e6
    for path in paths[::10]:
        with PIL.Image.open(path) as photo:  # the first quantisation value of quality 90 is 3
            assert photo.quantization[0][0] <= 3, path


def test_queries_are_none_of_the_references(town):
    """No query stands where a reference does and looks the same way."""
    for query in town.ground_truth:
        for image in town.references:
            near = np.linalg.norm(query.pose.center - image.pose.center) < 0.3
            assert not (near and query.pose.rotation[2] @ image.pose.rotation[2] > np.cos(np.radians(5))), query.name


def test_the_square_is_localized(town, tmp_path):
    """A query by day among the references around it."""
    truth = town.ground_truth.by_name["query/day/006.jpg"]
    distance = {i.name: np.linalg.norm(i.pose.center - truth.pose.center) for i in town.references}
    nearest = set(sorted(distance, key=distance.get)[:10])
    square = dataclasses.replace(
        town,
        references=ImageList(i for i in town.references if i.name in nearest),
        queries=ImageList([town.queries.by_name[truth.name]]),
    )
    report = parallel_search.run(square, Store(tmp_path / "store"), feature=FEATURE, workers=2)
    assert report.conditions == ("all", "day")
    assert report.error_m[0] < 0.2
    assert report.error_deg[0] < 0.5


def test_a_folder_that_is_no_rendered_town(tmp_path):
    with pytest.raises(InputError, match=r"cameras.txt is missing"):
        Minitown(root=str(tmp_path)).load()
