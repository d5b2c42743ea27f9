"""Figure 6 of the parallel search paper: registered queries against the side of the patches, in units of the scale."""

import dataclasses
import json
import logging
import pathlib

from localize.evaluate.grids import FORMATS, Grid, as_text
from localize.evaluate.patch_size_plot import plot_patch_sizes
from localize.features.sift import Sift
from localize.features.sift_patches import SiftPatches
from localize.io.text import write_text
from localize.mapping.base import MapImport
from localize.pipelines import parallel_search
from localize.roles import Components
from localize.stages import Workbench, extract_features, query_photos, reference_photos
from localize.stages.keypoints import FoundKeypoints
from localize.store import Store
from localize.types import InputError, Scene

log = logging.getLogger(__name__)
NOTE = (
    "One network describes all sizes: the weights that ship were trained with patches of 13 times the scale, which "
    "favours 13. The paper's figure peaks at 13."
)


def run(
    scene: Scene,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    coefficients: tuple = (7, 9, 11, 13, 15, 17),
    **components,
) -> str:
    """The table as text; `output` gets table.txt, .md, .csv, .tex, .json, fig6.png and .svg, and a folder per run.

    Keypoints are found once, and described with each of the coefficients. InputError for a feature without patches.
    """
    use, bench, folder = Components(**components), Workbench(store, workers, progress), pathlib.Path(output)
    features = _features(use, coefficients)
    photos = (reference_photos(scene), query_photos(scene))
    found = [find_keypoints(bench, use.feature, p) for p in photos]
    rows, header = [], ()
    for coefficient, feature in features.items():
        log.info("Patches of %g times the scale.", coefficient)
        described = [extract_features(bench, feature, p, found_before=f) for p, f in zip(photos, found, strict=True)]
        counts = [len(d.features[name]) for d in described for name in d.images.names]
        settings = {"workers": workers, "progress": progress, "output": str(folder / f"coefficient_{coefficient:g}")}
        report = parallel_search.run(scene, store, **settings, **(components | {"feature": feature}))
        unit = report.unit
        bounds = [f"{metres:g} {unit} / {degrees:g} deg" for metres, degrees in report.thresholds[0]]
        header = ("coefficient", "keypoints per photo", "queries", "localized", *(f"within {b}, %" for b in bounds))
        numbers = round(sum(counts) / max(1, len(counts))), int(report.num_queries[0]), int(report.num_localized[0])
        rows.append((f"{coefficient:g}", *numbers, *(100 * r for r in report.recall[0].tolist())))
    grid = Grid("", f"{scene.name}: queries against the coefficient of the patches.", header, tuple(rows), (NOTE,))
    for suffix, form in FORMATS.items():
        write_text(folder / f"table.{suffix}", form([grid]))
    write_text(folder / "table.json", json.dumps(dataclasses.asdict(grid), indent=1, allow_nan=False) + "\n")
    plot_patch_sizes(folder, grid)
    return as_text([grid]) + f"\nAlso in {folder}: table.md, .csv, .tex, .json, fig6.png and fig6.svg."


def _features(use: Components, coefficients) -> dict[float, SiftPatches]:
    """The feature with each coefficient; InputError with all that is wrong."""
    problems = []
    if not isinstance(use.feature, SiftPatches):
        problems.append(f"{type(use.feature).__name__} describes no patches: take feature=sift_crbnet or sift_tfeat")
    if isinstance(use.mapping, MapImport):
        problems.append("an imported map has keypoints of its own: take mapping=triangulation")
    numbers = [c for c in coefficients if isinstance(c, int | float) and not isinstance(c, bool) and c > 0]
    if not numbers or len(set(numbers)) < len(coefficients):
        problems.append(f"pipeline.coefficients={list(coefficients)}, but it must be different numbers above 0")
    if problems:
        raise InputError(*problems)
    return {c: dataclasses.replace(use.feature, coefficient=float(c)) for c in numbers}


def find_keypoints(bench: Workbench, feature: SiftPatches, photos) -> FoundKeypoints:
    """Those of the detector that the feature has."""
    detector = Sift(**{f.name: getattr(feature, f.name) for f in dataclasses.fields(Sift)})
    found = extract_features(bench, detector, photos).features
    return FoundKeypoints(found.shelf, found.item_keys)
