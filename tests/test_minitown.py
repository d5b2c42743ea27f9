"""The embedded benchmark: what is in the package, and that a corner of it is localized."""

import dataclasses
import pathlib

import numpy as np
import PIL.Image
import pytest

from localize.datasets.minitown import Minitown
from localize.pipelines import parallel_search
from localize.types import ImageList, InputError

from .conftest import CHECKOUT

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


def test_a_corner_of_the_town_is_localized(town, tmp_path):
    """Three queries by day among the references around the first."""
    day = [image for image in town.ground_truth if image.tags == ("day",)]
    center = day[0].pose.center
    distance = {i.name: np.linalg.norm(i.pose.center - center) for i in [*town.references, *day]}
    references = sorted(town.references, key=lambda i: distance[i.name])[:14]
    wanted = {i.name for i in sorted(day, key=lambda i: distance[i.name])[:2]}
    corner = dataclasses.replace(
        town,
        references=ImageList(sorted(references, key=lambda i: i.name)),
        queries=ImageList(q for q in town.queries if q.name in wanted),
    )
    from localize.store import Store

    report = parallel_search.run(corner, Store(tmp_path / "store"), workers=2)
    assert report.error_m.max() < 0.25
    assert report.error_deg.max() < 2


def test_a_folder_that_is_no_rendered_town(tmp_path):
    with pytest.raises(InputError, match=r"cameras.txt is missing"):
        Minitown(root=str(tmp_path)).load()
    assert pathlib.Path(tmp_path).is_dir()
