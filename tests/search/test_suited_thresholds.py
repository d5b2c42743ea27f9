"""The thresholds that suit a feature: taken where the user sets none, and part of the key of what was matched."""

from localize.features.alike import Alike
from localize.features.d2net import D2Net
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.keys import key_of
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.pose.poselib import PoseLib
from localize.roles import Components
from tests.conftest import PINHOLE


def ratios(**use) -> tuple[float, float]:
    made = Components(**use)
    return made.pair_matching.ratio, made.matching.ratio


def test_a_feature_brings_its_thresholds_unless_the_user_sets_some():
    assert ratios(feature=Sift()) == (0.8, 0.9)
    assert ratios(feature=Alike()) == (Alike.thresholds.pair_ratio, Alike.thresholds.point_ratio) != (0.8, 0.9)
    assert ratios(feature=Alike(), matching=RatioTest(ratio=0.85)) == (Alike.thresholds.pair_ratio, 0.85)
    assert ratios(feature=Alike(), pair_matching=MutualNearest(ratio=1.0)) == (1.0, Alike.thresholds.point_ratio)
    by_bits = [Components(feature=feature).pair_matching.by_bits for feature in (Sift(), SiftCrbnet())]
    assert by_bits == [False, True]
    assert not Components(pair_matching=MutualNearest(by_bits=False)).pair_matching.by_bits
    inliers = [Components(feature=feature).pose.min_inliers for feature in (Sift(), D2Net(backbone="small"))]
    assert inliers == [12, D2Net.thresholds.min_inliers]
    assert Components(feature=D2Net(), pose=PoseLib(min_inliers=15)).pose.min_inliers == 15
    made = Components(feature=D2Net(backbone="small"))
    assert made.pose.keypoint_px == made.refinement.keypoint_px == D2Net.thresholds.keypoint_px > 0
    assert made.pose.error_px(PINHOLE) == 12.0 > Components(feature=Sift()).pose.error_px(PINHOLE)
    used = [Components(feature=feature).matching for feature in (Sift(), Alike())]
    assert key_of(used[0]) == key_of(RatioTest(ratio=0.9)) != key_of(used[1])
