"""How well features match hard photo pairs with marked correspondences (WxBS): keypoints and descriptors together.

    python benchmarks/features_on_pairs.py --root ../shared/data/wxbs [--features sift alike] [--max-keypoints 2000]

Matches are mutual nearest neighbours without the ratio test; marked_pairs.Judge says which are correct. Precision is
the mean over pairs, 0 for a pair without matches. Weights of others are found as LOCALIZE_WEIGHTS says.
"""

import argparse
import pathlib

import numpy as np
from marked_pairs import Judge, read_pairs

from localize.evaluate.tables import text_table
from localize.features.alike import Alike
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.features.sift_tfeat import SiftTfeat
from localize.io.images import read_photo
from localize.matching.mutual import MutualNearest

FEATURES = {"sift": Sift, "sift_crbnet": SiftCrbnet, "sift_tfeat": SiftTfeat, "alike": Alike}
MATCHER = MutualNearest(ratio=1.0, max_distance=3.0)


def judged(pairs, feature) -> list[tuple[str, int, int]]:
    """(group, matches, correct matches) of every pair."""
    rows = []
    for pair in pairs:
        first, second = (feature.extract(read_photo(p, grey=feature.grey)) for p in pair.photos)
        matches = MATCHER.match(first, second).rows
        correct = Judge(pair.first, pair.second).correct(
            first.keypoints[matches[:, 0]].astype(float), second.keypoints[matches[:, 1]].astype(float)
        )
        rows.append((pair.group, len(matches), int(correct.sum())))
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--root", type=pathlib.Path, required=True)
    arguments.add_argument("--features", nargs="*", choices=FEATURES, default=list(FEATURES))
    arguments.add_argument("--max-keypoints", type=int, default=2000)
    given = arguments.parse_args()
    pairs = read_pairs(given.root)
    groups = list(dict.fromkeys(pair.group for pair in pairs))
    table = []
    for name in given.features:
        rows = judged(pairs, FEATURES[name](max_keypoints=given.max_keypoints))
        shares = {group: [c / max(1, m) for g, m, c in rows if group in (g, "all")] for group in ("all", *groups)}
        counts = np.mean([row[1:] for row in rows], axis=0)
        table.append([name, *(f"{count:.1f}" for count in counts), *(f"{np.mean(s):.3f}" for s in shares.values())])
        print(table[-1], flush=True)
    print("\n" + text_table(["feature", "matches", "correct", "precision", *groups], table))


if __name__ == "__main__":
    main()
