"""Two stores filled by one command on two processors (or in two precisions): which step differs, and by how much.

    python benchmarks/processors.py STORE_A STORE_B

To look at one step alone, copy the folders of the steps before it from one store into the other, and run there again.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from localize.evaluate.tables import text_table
from localize.io.records import load_record
from localize.store import Shelf, Store

STAGES = ("features", "retrieval_model", "global_descriptors", "pair_matches", "map", "index", "matches", "poses")


def main() -> None:
    """One line per step that both stores hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs=2, type=pathlib.Path)
    roots = parser.parse_args().stores
    rows = []
    for stage in STAGES:
        pairs = list(common(roots, stage))
        if pairs:
            same = sum(map(identical, pairs))
            rows.append([stage, str(len(pairs)), f"{100 * same / len(pairs):.0f} %", difference(stage, pairs)])
    print(text_table(["step", "results", "identical", "the others"], rows))


def common(roots: list[pathlib.Path], stage: str) -> Iterator[tuple]:
    """The records of a stage that lie under one key in both stores."""
    for folder in sorted((roots[0] / stage).glob("*/")):
        other = roots[1] / stage / folder.name
        if not other.is_dir():
            continue
        if any(folder.glob("*.h5")):
            a, b = (opened(root, place) for root, place in zip(roots, (folder, other), strict=True))
            yield from ((a.get(item), b.get(item)) for item in a._where if item in b)
        elif stage != "index":
            yield load_record(folder), load_record(other)


def opened(root: pathlib.Path, folder: pathlib.Path) -> Shelf:
    """The shelf in a folder."""
    return Shelf(Store(root), folder, folder.name, json.loads((folder / "spec.json").read_text()))


def identical(pair: tuple) -> bool:
    """Whether all arrays of two records are the same."""
    a, b = (vars(record) for record in pair)
    arrays = [name for name, value in a.items() if isinstance(value, np.ndarray)]
    return all(np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f") for name in arrays)


def difference(stage: str, pairs: list[tuple]) -> str:
    """What two processors make of the same, in words."""
    if stage == "features":
        return of_features(pairs)
    if stage == "global_descriptors":
        cosines = [float(cosine(a.vector[None], b.vector[None])[0]) for a, b in pairs]
        return f"cosine at least {min(cosines):.6f}"
    if stage == "pair_matches":
        return of_sets([(set(map(tuple, a.rows)), set(map(tuple, b.rows))) for a, b in pairs])
    if stage == "matches":
        return of_sets([(set(zip(a.keypoint, a.point)), set(zip(b.keypoint, b.point))) for a, b in pairs])  # noqa: B905
    if stage == "map":
        return "; ".join(f"{len(a.points)} and {len(b.points)} points" for a, b in pairs)
    if stage == "poses":
        return of_poses(pairs)
    return ""


def of_features(pairs: list[tuple]) -> str:
    """Keypoints, and the descriptors and bits of those that are the same."""
    same, worst, flipped = [], 1.0, []
    for a, b in pairs:
        if a.keypoints.shape != b.keypoints.shape or not np.array_equal(a.keypoints, b.keypoints):
            same.append(False)
            continue
        same.append(True)
        p, q = np.asarray(a.descriptors, np.float32), np.asarray(b.descriptors, np.float32)
        if len(p):
            worst = min(worst, float(cosine(p, q).min()))
            flipped.append(((p > 0) != (q > 0)).mean())
    return (
        f"keypoints the same in {np.mean(same):.0%} of the photos; descriptors' cosine at least {worst:.6f}, "
        f"{100 * np.mean(flipped):.4f} % of their signs differ"
    )


def of_sets(pairs: list[tuple[set, set]]) -> str:
    """How many of the matches are common to both."""
    common = sum(len(a & b) for a, b in pairs)
    return f"{100 * common / max(1, sum(len(a | b) for a, b in pairs)):.3f} % of all matches are in both"


def of_poses(pairs: list[tuple]) -> str:
    """How far the poses are apart."""
    both = [(a.pose, b.pose) for a, b in pairs if a.pose is not None and b.pose is not None]
    one = sum((a.pose is None) != (b.pose is None) for a, b in pairs)
    apart = 100 * np.array([np.linalg.norm(a.center - b.center) for a, b in both])
    return f"{one} found by one alone; centres apart: median {np.median(apart):.3g} cm, most {apart.max():.3g} cm"


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of rows."""
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(1) / np.maximum(norm, 1e-12)


if __name__ == "__main__":
    main()
