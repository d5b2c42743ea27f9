"""The guided round on generated photos of generated points: right poses gain, wrong ones are refused."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.poses import pose_error
from localize.pose.base import failed
from localize.pose.poselib import PoseLib
from localize.pose.refinement.aim import Candidates, Photo
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.confidence import MEASURES, measures, read_calibration, surprise
from localize.pose.refinement.guided import Guided
from localize.pose.refinement.none import NoRefinement
from localize.types import Camera, Evidence, Features, Image, ImageList, InputError, Matches2D3D, PointRows, Pose, View
from tests.conftest import unit

CAMERA = Camera("SIMPLE_RADIAL", 640, 480, [500.0, 320.0, 240.0, -0.08])
TRUTH = Pose(np.eye(3), np.zeros(3))
DIM = 32


def seen_from(*centers, dtype=np.float16) -> SeenPoints:
    """800 points 8 to 12 m ahead; references at the centres, which all see all of them."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-6, 6, 800), rng.uniform(-4, 4, 800), rng.uniform(8, 12, 800)])
    base = rng.normal(size=(800, DIM))
    rows = unit(np.concatenate([base + 0.3 * rng.normal(size=base.shape) for _ in centers])).astype(dtype)
    images = ImageList(Image(str(i), CAMERA, Pose(np.eye(3), -np.array(c))) for i, c in enumerate(centers))
    point = np.tile(np.arange(800), len(centers))
    return SeenPoints(images, PointRows(points, rows, point, 800 * np.arange(len(centers) + 1)))


def projected(points: np.ndarray, pose: Pose) -> np.ndarray:
    from localize.geometry.colmap import to_pycolmap_camera

    return np.asarray(to_pycolmap_camera(CAMERA).img_from_cam(points @ pose.rotation.T + pose.translation))


def photo_of(seen: SeenPoints, shown: int, matched: int, wrong: int = 60, seed: int = 1, pose: Pose = TRUTH) -> View:
    """A photo at `pose` with keypoints at the first points and 800 elsewhere; few of them are matched, some wrongly."""
    rng = np.random.default_rng(seed)
    xy = projected(seen.rows.points, pose)[:shown] + 0.3 * rng.normal(size=(shown, 2))
    xy = np.concatenate([xy, rng.uniform(0, (640, 480), (800, 2))])
    d = seen.rows.descriptors[:shown].astype(np.float64) + 0.06 * rng.normal(size=(shown, DIM))
    descriptors = unit(np.concatenate([d, rng.normal(size=(800, DIM))]))
    keypoint = np.concatenate([np.arange(matched), shown + rng.permutation(800)[:wrong]])
    point = np.concatenate([np.arange(matched), rng.permutation(800)[:wrong]])
    n = len(keypoint)
    matches = Matches2D3D(xy[keypoint], seen.rows.points[point], keypoint, point, np.zeros(n), np.ones(n))
    return View(Features(xy, descriptors, np.ones(len(xy))), matches, CAMERA)


def test_a_pose_on_few_matches_gains_many():
    seen = seen_from((0.5, 0, 0), (-0.5, 0.2, 0))
    view = photo_of(seen, shown=300, matched=9)
    assert NoRefinement().estimate(view, seen, PoseLib()).pose is None  # nine matches are too few to believe
    found = Guided().estimate(view, seen, PoseLib())
    assert pose_error(found.pose, TRUTH)[0] < 0.02
    assert found.evidence.found > 200
    assert found.evidence.first_inliers < 15
    assert found.confidence > 0.9
    assert 0.0005 < found.position_sd_m < 0.02
    np.testing.assert_array_equal(Guided().estimate(view, seen, PoseLib()).pose.rotation, found.pose.rotation)


def test_a_photo_that_does_not_belong_is_refused_in_words():
    seen = seen_from((0.5, 0, 0), (-0.5, 0.2, 0))
    view = photo_of(seen, shown=0, matched=0, wrong=120)
    found = Guided().estimate(view, seen, PoseLib())
    assert found.pose is None
    assert found.confidence < 0.5
    assert "found again" in found.reason
    open_to_all = Guided().estimate(view, seen, PoseLib(min_confidence=0.0))
    assert open_to_all.pose is not None
    assert open_to_all.confidence == found.confidence


def test_the_best_verified_first_pose_wins():
    """Most matches are of a facade's copy that lies elsewhere; the place that is really shown is found again."""
    near, far = seen_from((0, 0, 0)), seen_from((40, 0, 0))
    d = near.rows.descriptors.astype(np.float32)
    other = unit(np.random.default_rng(5).normal(size=d.shape)).astype(np.float16)
    points = np.concatenate([near.rows.points, far.rows.points + np.array([40.0, 0, 0])])
    rows = PointRows(points, np.concatenate([near.rows.descriptors, other]), np.arange(1600), [0, 800, 1600])
    seen = SeenPoints(ImageList((*near.references, dataclasses.replace(far.references.images[0], name="far"))), rows)
    view = photo_of(seen, shown=300, matched=15, wrong=0)
    m, copies = view.matches, np.arange(25)  # keypoints 20 to 44, matched to the copy of what they show
    view = dataclasses.replace(
        view,
        matches=Matches2D3D(
            np.concatenate([view.features.keypoints[20:45], m.xy]),
            np.concatenate([points[820:845], m.xyz]),
            np.concatenate([20 + copies, m.keypoint]),
            np.concatenate([820 + copies, m.point]),
            np.zeros(40),
            np.ones(40),
        ),
    )
    assert PoseLib().estimate(view.matches, CAMERA).pose.center[0] == pytest.approx(40, abs=0.1)
    found = Guided().estimate(view, seen, PoseLib())
    assert pose_error(found.pose, TRUTH)[0] < 0.02
    one_only = Guided(hypotheses=1).estimate(view, seen, PoseLib(min_confidence=0.0))
    assert one_only.pose.center[0] == pytest.approx(40, abs=0.5)
    assert one_only.confidence < found.confidence


def test_what_was_seen_from_behind_is_compared_only_if_nothing_else_is_there():
    both, behind = seen_from((0, 0, 0), (0, 0, 20)), seen_from((0, 0, 20))
    view = photo_of(both, shown=300, matched=9)
    photo = Photo(view.features, CAMERA)
    candidates = Candidates.around(both, np.arange(9), 10_000)
    in_front = candidates.rows[candidates.places(TRUTH, photo, 60.0)[1]]
    assert 100 < len(in_front) == (in_front < 800).sum()  # the first reference's
    assert len(candidates.places(TRUTH, photo, 180.0)[1]) == 2 * len(in_front)
    assert Guided().estimate(photo_of(behind, shown=300, matched=9), behind, PoseLib()).evidence.found > 200


def test_one_first_pose_can_be_given():
    seen = seen_from((0.5, 0, 0))
    view = photo_of(seen, shown=300, matched=9)
    first = PoseLib().solve(view.matches, CAMERA)
    assert pose_error(Guided().refine_from(view, seen, PoseLib(), first).pose, TRUTH)[0] < 0.02
    none = failed(len(view.matches), "no reason")
    assert Guided().refine_from(view, seen, PoseLib(), none) is none


def test_surprise_and_measures():
    assert surprise(Evidence(100, 50, 10, in_view=200, found=3, by_chance=4.0)) == 0  # chance finds as many
    weak, strong = (Evidence(100, 50, 10, in_view=200, found=n, by_chance=1.0, spread=0.2) for n in (20, 80))
    assert 0 < surprise(weak) < surprise(strong)
    assert np.isfinite(measures(Evidence(0, 0, 0), None)).all()
    shipped = read_calibration(None)
    sure, unsure = (float(shipped.probability(measures(e, 0.01))) for e in (strong, weak))
    assert 0 <= unsure < sure <= 1


def test_a_calibration_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"measures": ["inliers"], "mean": [0]}')
    with pytest.raises(InputError, match=r"no calibration of this version.*calibrate_confidence"):
        read_calibration(str(path))
    assert "no calibration" in Guided(calibration=str(path)).preflight()[0]
    assert len(MEASURES) == len(measures(Evidence(0, 0, 0), None))
