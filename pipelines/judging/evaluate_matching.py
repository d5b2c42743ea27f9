"""How well a feature matches photos of flat scenes: mean matching accuracy on HPatches' sequences."""

import dataclasses
import json
import pathlib

import numpy as np

import localize
from localize.evaluate.grids import as_text
from localize.evaluate.mma import LEFT_OUT, THRESHOLDS_PX, PairAccuracy, by_kind, mma_table, shares_within
from localize.io.benchmarks.sequences import PhotoSequence, read_sequences
from localize.io.images import open_photo
from localize.io.text import write_text
from localize.matching.mutual import MutualNearest
from localize.stages import PhotoList, Workbench, extract_features
from localize.stages.shelved import Shelved
from localize.store import Store
from localize.types import Camera, Image, ImageList, InputError

MATCHER = MutualNearest(ratio=1.0, max_distance=3.0)  # the protocol has no limits; unit descriptors are at most 2 apart


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    sequences: str,
    all_sequences: bool = False,
    **components,
) -> str:
    """The table as text; `output` gets it as table.txt, and results.json.

    sequences: the folder that holds HPatches' sequences. all_sequences: also the eight that the protocol omits.
    Of the components only the feature is used. InputError for whatever lacks.
    """
    feature = components["feature"]
    found = [s for s in read_sequences(sequences) if all_sequences or s.name not in LEFT_OUT]
    if not found:
        raise InputError(f"{sequences} holds only sequences that the protocol omits: add pipeline.all_sequences=true")
    root = pathlib.Path(sequences).expanduser()
    bench = Workbench(store, workers, progress)
    images = ImageList(_image(_name(s, k), path) for s in found for k, path in enumerate(s.photos))
    features = extract_features(bench, feature, PhotoList("photo", str(root), images)).features
    if bench.unreadable:
        raise InputError(f"{len(bench.unreadable)} photos have no features, as said above: all are needed")
    pairs = [_pair(s, k, features) for s in found for k in range(1, len(s.photos))]
    results = _results(feature, features, found, pairs, images)
    target = pathlib.Path(output)
    target.mkdir(parents=True, exist_ok=True)
    said = as_text([mma_table(results["feature"]["type"], results["sequences"])])
    said += f"\n{results['dim']} values a descriptor, {results['seconds_per_photo']:.2f} s a photo on one thread"
    write_text(target / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(target / "table.txt", said + "\n")
    return f"{said}; table.txt and results.json are in {target}."


def _name(sequence: PhotoSequence, k: int) -> str:
    return f"{sequence.name}/{sequence.photos[k].name}"


def _image(name: str, path: pathlib.Path) -> Image:
    """The photo under a camera of its size, which features in files ask for; the focal length is not used."""
    try:
        with open_photo(path) as photo:
            width, height = photo.size
    except (OSError, SyntaxError, ValueError) as e:
        raise InputError(f"photo {path} cannot be opened ({e}): replace it") from e
    return Image(name, Camera("SIMPLE_PINHOLE", width, height, [width, width / 2, height / 2]))


def _pair(sequence: PhotoSequence, k: int, features: Shelved) -> PairAccuracy:
    first, second = (features[_name(sequence, i)] for i in (0, k))
    rows = MATCHER.match(first, second).rows
    matched = first.keypoints[rows[:, 0]], second.keypoints[rows[:, 1]]
    shares = shares_within(*matched, sequence.homographies[k])
    return PairAccuracy(sequence.name, sequence.kind, k + 1, (len(first), len(second)), len(rows), shares)


def _results(feature, features: Shelved, found: list[PhotoSequence], pairs: list[PairAccuracy], images) -> dict:
    kinds = by_kind(pairs)
    seconds = float(np.mean([features.seconds(name) for name in images.names]))
    name = type(feature).__name__
    every = kinds["all"]
    return {
        "localize": localize.__version__,
        "feature": {"type": name} | dataclasses.asdict(feature),
        "dim": int(features[_name(found[0], 0)].descriptors.shape[1]),
        "thresholds_px": THRESHOLDS_PX,
        "sequences": kinds,
        "seconds_per_photo": seconds,
        "pairs": [dataclasses.asdict(p) for p in pairs],
        "compared": {  # a row of the table with which a multirun ends
            **{f"MMA@{t}": f"{100 * every['mma'][t - 1]:.1f} %" for t in (1, 3, 5, 10)},
            "features": f"{every['features']:.0f}",
            "matches": f"{every['matches']:.0f}",
            "s per photo": f"{seconds:.2f}",
        },
    }
