"""The whole chain on a synthetic scene: right, the same whatever the workers, resumable, and frugal."""

import dataclasses
import shutil
from typing import ClassVar

import numpy as np
import pytest

from localize.datasets.synthetic import Synthetic
from localize.geometry.poses import inverse
from localize.index.faiss_index import FaissFlat
from localize.index.random_trees import RandomTrees
from localize.mapping.triangulation import Triangulation
from localize.pipelines import direct, parallel_search, serial
from localize.pipelines.mapped_scene import map_scene
from localize.pose.poselib import PoseLib
from localize.roles import Components
from localize.search.prior import Frames, Leaves, Union
from localize.stages import (
    LocalizationMap,
    PriorFrames,
    Workbench,
    extract_features,
    match_points,
    query_photos,
    retrieve,
)
from localize.store import Store
from localize.types import Camera, Image, ImageList, InputError, Pose, Scene
from tests.conftest import FEATURE, UNKEPT, computed, poses, results


def test_results_tell_what_was_done(finished, scene):
    found = results(finished[1])
    assert found["num_queries"] == found["num_localized"] == len(scene.queries) == 3
    assert found["conditions"]["all"]["recall"]["5 cm / 0.5 deg"] == 1
    assert found["map"]["points"] > 100
    assert found["map"]["observations"] >= 2 * found["map"]["points"]
    assert found["map"]["index_bytes"] > 0
    assert found["map"]["bits"] == {"number": 128, "binarisation": "median"}  # SIFT has no negative value
    assert found["candidates_per_keypoint"] > 10
    assert found["failed"] == found["unreadable_photos"] == {}
    for stage in found["stages"]:
        assert stage["peak_memory_mb"] > 20
        assert stage["seconds"] >= 0
    assert set(found["seconds_per_query"]) == {"features", "global descriptor", "search and matching", "pose"}
    assert all(s > 0 for s in found["seconds_per_query"].values())
    assert len(poses(finished[1]).splitlines()) == 3


def test_second_run_reuses_everything(finished, scene, tmp_path):
    parallel_search.run(scene, finished[0], feature=FEATURE, output=str(tmp_path))
    assert not [n for n, c in computed(tmp_path).items() if c and n not in UNKEPT]
    assert poses(tmp_path) == poses(finished[1])
    before, after = results(finished[1]), results(tmp_path)
    assert before["seconds_per_query"] == after["seconds_per_query"]  # as measured when they were computed


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"pose": PoseLib(max_error_px=6.0)}, {"poses"}),
        ({"search": Union(num_frames=2)}, {"matches", "poses"}),
        ({"index": RandomTrees(budget=0.3)}, {"matches", "poses"}),
        ({"index": RandomTrees(num_trees=2)}, {"index", "matches", "poses"}),
    ],
)
def test_a_change_recomputes_only_what_depends_on_it(finished, scene, tmp_path, change, stages):
    parallel_search.run(scene, finished[0], **{"feature": FEATURE, **change}, output=str(tmp_path))
    assert {n for n, c in computed(tmp_path).items() if c} - UNKEPT == stages


def moved(image: Image) -> Image:
    """The same photo, said to be taken a millimetre to the side."""
    return dataclasses.replace(image, pose=Pose(image.pose.rotation, image.pose.translation + np.array([0.001, 0, 0])))


def test_a_moved_reference_is_another_map(finished, scene, tmp_path):
    first, *rest = scene.references
    other = dataclasses.replace(scene, references=ImageList((moved(first), *rest)))
    parallel_search.run(other, finished[0], feature=FEATURE, output=str(tmp_path))
    done = {n for n, c in computed(tmp_path).items() if c} - UNKEPT
    checks = {"focal_check", "pose_check", "reprojection"}
    assert done == {*checks, "map", "map_descriptors", "index", "matches", "poses"}


def test_poses_that_contradict_the_photos_make_no_map_unless_they_are_trusted(finished, scene):
    def mapped(scene: Scene, **settings) -> tuple[LocalizationMap, Workbench]:
        use, bench = Components(feature=FEATURE, mapping=Triangulation(**settings)), Workbench(finished[0])
        return map_scene(bench, use, scene).points, bench

    turned = ImageList(dataclasses.replace(image, pose=inverse(image.pose)) for image in scene.references)
    turned = dataclasses.replace(scene, references=turned)
    with pytest.raises(InputError, match=r"Read as camera to world they fit .* mapping.trust_poses=true"):
        mapped(turned)
    with pytest.raises(InputError, match="no 3D point could be triangulated"):
        mapped(turned, trust_poses=True)  # it goes on, and here makes nothing of it
    points, bench = mapped(scene, trust_poses=True)  # makes nothing else of right poses
    assert not [r.name for r in bench.records if r.computed and r.name not in UNKEPT]
    assert points.figures["of_those_that_fit_some_pose"] > 0.9
    assert points.figures["median_reprojection_px"] < 1


def test_ground_truth_in_another_convention_is_named_in_the_results(finished, scene, tmp_path):
    turned = ImageList(dataclasses.replace(image, pose=inverse(image.pose)) for image in scene.ground_truth)
    parallel_search.run(
        dataclasses.replace(scene, ground_truth=turned), finished[0], feature=FEATURE, output=str(tmp_path)
    )
    (note,) = results(tmp_path)["notes"]
    assert "fits 3 of 3 localized queries only if it is read as camera to world" in note
    assert note in (tmp_path / "summary.txt").read_text()


def test_another_query_camera_is_another_pose(finished, scene, tmp_path):
    first, *rest = scene.queries
    camera = Camera(first.camera.model, 640, 480, first.camera.params * [1.01, 1, 1, 1])
    other = dataclasses.replace(scene, queries=ImageList((Image(first.name, camera), *rest)))
    parallel_search.run(other, finished[0], feature=FEATURE, output=str(tmp_path))
    assert {n: c for n, c in computed(tmp_path).items() if c and n not in UNKEPT} == {"poses": 1}


def test_other_retrieved_frames_are_other_matches(finished, scene, tmp_path):
    """The same search over a ranking that differs for one query: only that query is matched again."""
    use = Components(feature=FEATURE, search=Frames(num_frames=2))
    bench = Workbench(Store(tmp_path / "store"))
    mapped, queries = map_scene(bench, use, scene), extract_features(bench, use.feature, query_photos(scene))
    frames = retrieve(bench, use, queries, mapped.described)
    match_points(bench, use, queries, mapped.points, frames=frames)
    ranked = frames.retrieved.ranked.copy()
    ranked[0] = [i for i in range(7) if i not in ranked[0]][:2]
    other = PriorFrames(dataclasses.replace(frames.retrieved, ranked=ranked))
    match_points(bench, use, queries, mapped.points, frames=other)
    assert (bench.records[-1].computed, bench.records[-1].reused) == (1, 2)


def test_one_more_photo_recomputes_only_what_depends_on_it(finished, scene, tmp_path):
    """The last reference is left out, then added."""
    store = Store(tmp_path / "store")
    fewer = dataclasses.replace(scene, references=ImageList(scene.references.images[:-1]))
    parallel_search.run(fewer, store, feature=FEATURE, output=str(tmp_path / "fewer"))
    parallel_search.run(scene, store, feature=FEATURE, output=str(tmp_path / "all"))
    done = computed(tmp_path / "all")
    assert done["reference_features"] == 1
    assert done["query_features"] == 0
    assert done["pair_matches"] == len(scene.references) - 1
    assert poses(tmp_path / "all") == poses(finished[1])


def test_results_do_not_depend_on_workers_or_store(finished, scene, tmp_path):
    parallel_search.run(scene, Store(tmp_path / "s"), feature=FEATURE, workers=2, output=str(tmp_path / "two"))
    assert poses(tmp_path / "two") == poses(finished[1])


def test_pipelines_are_the_parts_of_parallel_search(finished, scene, tmp_path):
    store = finished[0]
    runs = {
        "direct": lambda out: direct.run(scene, store, feature=FEATURE, output=out),
        "leaves": lambda out: parallel_search.run(scene, store, feature=FEATURE, search=Leaves(), output=out),
        "serial": lambda out: serial.run(scene, store, feature=FEATURE, output=out),
        "frames": lambda out: parallel_search.run(scene, store, feature=FEATURE, search=Frames(), output=out),
        "flat": lambda out: direct.run(scene, store, feature=FEATURE, index=FaissFlat(), output=out),
        "abs": lambda out: direct.run(scene, store, feature=FEATURE, index=RandomTrees(order="abs_value"), output=out),
    }
    for name, run in runs.items():
        assert run(str(tmp_path / name)).recall[0, -1] == 1, name
    assert poses(tmp_path / "direct") == poses(tmp_path / "leaves")
    assert poses(tmp_path / "serial") == poses(tmp_path / "frames")
    assert "index" not in computed(tmp_path / "serial")
    assert "ranking" not in computed(tmp_path / "direct")
    for pipeline, search in ((direct, Union()), (serial, Leaves())):
        with pytest.raises(InputError, match=r"\+pipeline=parallel_search"):
            pipeline.run(scene, store, search=search)


def test_damaged_query_counts_as_failed_and_the_rest_goes_on(scene, tmp_path):
    root = tmp_path / "photos"
    shutil.copytree(scene.image_root, root)
    broken = scene.queries.names[0]
    (root / broken).write_bytes((root / broken).read_bytes()[:3000])
    hurt = dataclasses.replace(scene, image_root=str(root))
    report = serial.run(hurt, Store(tmp_path / "store"), feature=FEATURE, output=str(tmp_path / "run"))
    assert report.num_queries[0] == 3
    assert report.num_localized[0] == 2
    found = results(tmp_path / "run")
    assert found["failed"] == {broken: "the photo cannot be read"}
    assert broken in str(found["unreadable_photos"])
    assert broken.encode() not in poses(tmp_path / "run")


@dataclasses.dataclass(frozen=True)
class Picky:
    """An estimator that cannot use what it is given."""

    VERSION: ClassVar[int] = 1
    honours: ClassVar[frozenset] = frozenset()
    min_confidence: ClassVar[float] = 0.5
    min_inliers: ClassVar[int] = 12

    def solve(self, matches, camera, prior=None):
        raise InputError(f"{len(matches) > 0} is not to its taste")

    estimate = solve


def test_what_a_component_refuses_is_said_and_nothing_is_left_out(finished, scene, tmp_path):
    with pytest.raises(InputError) as e:
        direct.run(scene, finished[0], feature=FEATURE, pose=Picky(), output=str(tmp_path))
    assert e.value.problems == ("True is not to its taste",) * 3


def test_too_few_references_are_said_before_anything_is_learned_from_them(scene, tmp_path):
    one = dataclasses.replace(scene, references=ImageList(scene.references.images[:1]))
    with pytest.raises(InputError, match="1 reference photos can be used, but a map needs at least 2"):
        serial.run(one, Store(tmp_path), feature=FEATURE)


def test_synthetic_scene_is_the_same_every_time(tmp_path, scene, synthetic_root):
    again = Synthetic(str(tmp_path / "again"), num_photos=10, num_points=250).load()
    for a, b in zip(scene.references, again.references, strict=True):
        assert a.pose.translation.tolist() == b.pose.translation.tolist()
        assert (synthetic_root / "images" / a.name).read_bytes() == (tmp_path / "again/images" / a.name).read_bytes()
    with pytest.raises(InputError, match="holds other files"):
        Synthetic(str(tmp_path)).load()
