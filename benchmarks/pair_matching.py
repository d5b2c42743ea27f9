"""What a pair of references costs to match, by values, by bits and on epipolar lines, and the map that comes of it.

    python benchmarks/pair_matching.py Herz-Jesu-P25 [--feature sift_crbnet] [--keypoints 8192 2048] [--pairs 12]
        [--maps] [--store outputs/store]

Each argument is a folder in the layout of Strecha et al. One thread; times are CPU milliseconds, the less of two runs.
kept: the share of the matches by values that are found too; added: others, by the same number. off their lines: more
than 4 px from the epipolar line, in percent; by chance: what is matched where the second photo's keypoints were moved
down by 40 px, so that nearly none is right. `--pairs` are spread over all pairs of the references; `--maps` makes the
map of all of them.
"""

import argparse
import dataclasses
import time

import numpy as np
import threadpoolctl

from localize.components import suited
from localize.datasets.strecha import Strecha
from localize.evaluate.tables import text_table
from localize.features.alike import Alike
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.geometry.colmap import to_pycolmap_camera
from localize.mapping.pairs import all_pairs
from localize.mapping.triangulation import Triangulation
from localize.matching.epipolar import EpipolarNearest
from localize.matching.mutual import MutualNearest
from localize.stages import Workbench, extract_features, reference_photos
from localize.store import Store
from localize.types import Features, ImageList, Map, PairMatches

FEATURES = {"sift_crbnet": SiftCrbnet, "sift": Sift, "alike": Alike}
MOVED_PX = 40
MAPPING = Triangulation()


def matchers(feature) -> dict:
    """The ways of matching, with this feature's ratio; by bits only where it makes some."""
    found = {"by values": suited(MutualNearest(by_bits=False), feature)}
    if suited(MutualNearest(), feature).by_bits:
        found |= {f"by bits, {n} scored": suited(MutualNearest(num_scored=n), feature) for n in (4, 8, 16)}
    return found | {"on epipolar lines": suited(EpipolarNearest(), feature)}


def strongest(features: Features, num: int) -> Features:
    """Those of the highest scores."""
    rows = np.sort(np.argsort(-features.scores, kind="stable")[:num])
    return Features(features.keypoints[rows], features.descriptors[rows], features.scores[rows])


def matched(matcher, first: Features, second: Features, images) -> np.ndarray:
    """Matches (M, 2) with the poses where the matcher makes use of them."""
    if isinstance(matcher, EpipolarNearest):
        return matcher.match_posed(first, second, images).rows
    return matcher.match(first, second).rows


def timed(work) -> tuple[np.ndarray, float]:
    """What it gives, and its CPU milliseconds, the less of two runs."""
    taken = []
    for _ in range(2):
        start = time.thread_time()
        found = work()
        taken.append(1000 * (time.thread_time() - start))
    return found, min(taken)


def pairs_row(name: str, matcher, pairs: list, features: dict, images: ImageList, plain: list[set]) -> list[str]:
    """The cells of one way of matching; plain: the matches of each pair by values, filled by the first row."""
    ms, found, off, chance = [], [], 0, 0
    for a, b in pairs:
        first, second, placed = features[a], features[b], (images.by_name[a], images.by_name[b])
        rows, taken = timed(lambda f=first, s=second, p=placed: matched(matcher, f, s, p))
        ms.append(taken)
        found.append({*map(tuple, rows.tolist())})
        off += len(rows) - MAPPING.verify(*placed, first.keypoints[rows[:, 0]], second.keypoints[rows[:, 1]]).sum()
        if isinstance(matcher, EpipolarNearest):
            moved = dataclasses.replace(second, keypoints=second.keypoints + np.float32([0, MOVED_PX]))
            chance += len(matched(matcher, first, moved, placed))
    if not plain:
        plain.extend(found)
    whole, total = sum(map(len, plain)), sum(map(len, found))
    kept = sum(len(p & f) for p, f in zip(plain, found, strict=True))
    shares = [f"{kept / whole:.4f}", f"{(total - kept) / whole:.4f}", f"{100 * off / total:.1f}"]
    by_chance = f"{100 * chance / total:.1f}" if chance else "-"
    return [name, f"{np.mean(ms):.0f}", f"{total / len(pairs):.0f}", *shares, by_chance]


def map_row(name: str, matcher, features: dict, images: ImageList) -> list[str]:
    """The map of all pairs, and what it cost."""
    matches, start = {}, time.thread_time()
    for a, b in all_pairs(images.names):
        rows = matched(matcher, features[a], features[b], (images.by_name[a], images.by_name[b]))
        matches[a, b] = PairMatches(rows)
    taken = time.thread_time() - start
    found = MAPPING.build(images, {n: f.keypoints for n, f in features.items()}, matches)
    error, length = errors_px(found, features), np.diff(found.indptr)
    cells = f"{taken:.1f}", len(found.points), len(found.image), f"{length.mean():.2f}"
    return [name, *map(str, cells), f"{np.median(error):.3f}", f"{error.mean():.3f}"]


def errors_px(found: Map, features: dict) -> np.ndarray:
    """Reprojection error (M,) of each observation."""
    point = np.repeat(np.arange(len(found.points)), np.diff(found.indptr))
    error = np.empty(len(point))
    for i, image in enumerate(found.images):
        rows = np.flatnonzero(found.image == i)
        seen = found.points[point[rows]] @ image.pose.rotation.T + image.pose.translation
        xy = np.asarray(to_pycolmap_camera(image.camera).img_from_cam(seen))
        error[rows] = np.linalg.norm(xy - features[image.name].keypoints[found.keypoint[rows]], axis=1)
    return error


PAIRS_HEADER = ["way", "CPU ms", "matches", "kept", "added", "off their lines %", "by chance %"]
MAP_HEADER = ["way", "CPU s", "points", "observations", "per point", "median px", "mean px"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scenes", nargs="+")
    arguments.add_argument("--feature", choices=FEATURES, default="sift_crbnet")
    arguments.add_argument("--keypoints", type=int, nargs="+", default=[8192, 2048])
    arguments.add_argument("--pairs", type=int, default=12)
    arguments.add_argument("--maps", action="store_true")
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    feature, bench = FEATURES[given.feature](), Workbench(Store(given.store))
    for root in given.scenes:
        photos = extract_features(bench, feature, reference_photos(Strecha(root).load()))
        images, pairs = photos.images, all_pairs(photos.images.names)
        chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(given.pairs, len(pairs))).astype(int)]
        for num in given.keypoints:
            features = {name: strongest(photos.features[name], num) for name in images.names}
            plain: list[set] = []
            with threadpoolctl.threadpool_limits(1):
                lines = [pairs_row(n, m, chosen, features, images, plain) for n, m in matchers(feature).items()]
                ways = matchers(feature).items() if given.maps else ()
                maps = [map_row(n, m, features, images) for n, m in ways]
            print(f"\n{root}, {len(images)} references, {num} keypoints, {len(chosen)} pairs\n")
            print(text_table(PAIRS_HEADER, lines), flush=True)
            if maps:
                print("\n" + text_table(MAP_HEADER, maps), flush=True)


if __name__ == "__main__":
    main()
