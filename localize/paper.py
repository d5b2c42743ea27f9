"""settings=paper: what the parallel search paper ran, what stands in where its files are missing, what differs from it.

The settings are named in docs/settings.md. conf/settings/paper.yaml composes the same components for the command line.
"""

import dataclasses
import logging
import pathlib

from localize.features.sift_crbnet import SiftCrbnet
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.mapping.base import MapImport
from localize.mapping.imported import Imported
from localize.mapping.triangulation import Triangulation
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.pose.poselib import PoseLib
from localize.pose.refinement.guided import Guided
from localize.pose.refinement.none import NoRefinement
from localize.retrieval.fusion import Fusion
from localize.retrieval.netvlad import WEIGHTS, NetVlad
from localize.roles import Components
from localize.search.prior import Frames, Leaves, Union
from localize.types import InputError
from localize.weights.manifest import FOLDER, read_manifest, weights_folder

log = logging.getLogger(__name__)
CRBNET, LITE = "crbnet256", "crbnet256_lite"  # the paper's network, which nobody published; the one that ships
PAPER = Components(  # where the dataset brings keypoints; `supplied` has the other case
    feature=SiftCrbnet(weights=CRBNET, boundary="drop", precision="float32"),
    retrieval=NetVlad(precision="float32"),
    pair_matching=MutualNearest(by_bits=False),
    mapping=Imported(),
    index=LiteralTrees(),
    search=Union(precision="float32", by_bits=False),
    matching=RatioTest(ratio=0.8),
    pose=PoseLib(prosac=False, min_inliers=12, min_iterations=1000, max_iterations=100_000),
    refinement=NoRefinement(),
)
NO_CHOICES = {"seed", "batch_size", "device", "order"}  # the order of leaves makes the rows RT_AP and RT
BY_WEIGHTS = {"weights", "backbone"}  # what `weights_notes` tells

WORDS = {  # of fields whose names say less
    "boundary": "patches that leave the photo:",
    "by_bits": "bits first:",
    "prosac": "best matches first (PROSAC):",
    "upright": "upright keypoints:",
}


def sift_crbnet(weights: str | None = None, **fields) -> SiftCrbnet:
    """The feature of the paper; weights None: crbnet256 of the folder of weights, else the shipped network instead."""
    if weights is None:
        path = weights_folder() / f"{CRBNET}.safetensors"
        weights = str(path) if path.is_file() else LITE
        if weights == LITE:
            log.warning("stand-in: CRBNet is %s of this package, as there is no %s (set %s)", LITE, path, FOLDER)
    return SiftCrbnet(weights=weights, **fields)


def netvlad(weights: str | None = None, backbone: str = "vgg16", **fields) -> NetVlad:
    """The global descriptor of the paper; without the published weights the same layer on the small network."""
    if weights is None and backbone == "vgg16":
        published = read_manifest()[WEIGHTS["vgg16"]]
        if not published.path().is_file():
            backbone = "small"
            log.warning(
                "stand-in: NetVLAD is its layer on the network small of this package, as there is no %s (get it with "
                "+pipeline=weights 'pipeline.get=[%s]')",
                *(published.path(), published.name),
            )
    return NetVlad(weights=weights, backbone=backbone, **fields)


def supplied(dataset, *, imported: Imported, triangulation: Triangulation) -> Imported | Triangulation:
    """The mapping for a dataset: imported where its model and keypoints come with it, else triangulation."""
    try:
        comes = getattr(dataset, "supplies_keypoints", False)
    except InputError:  # it is not there, which is said when it is loaded
        comes = False
    if not comes:
        log.info("the dataset brings no keypoints that its 3D model counts: the map is triangulated")
    return imported if comes else triangulation


def differences(use: Components) -> list[str]:
    """What differs from the paper, a sentence each: `matching: ratio 0.9; the paper: ratio 0.8`.

    Keypoints are upright where the supplied ones are, and pairs are matched for a triangulated map only.
    """
    found = []
    for role, paper in vars(PAPER).items():
        ours = getattr(use, role)
        if role == "submission" or (role == "pair_matching" and isinstance(use.mapping, MapImport)):
            continue
        if type(ours) is not type(paper):
            found.append(f"{role}: {_told(ours)}; the paper: {_told(paper)}")
            continue
        skipped = NO_CHOICES | BY_WEIGHTS | ({"upright"} if isinstance(use.mapping, MapImport) else set())
        names = [f.name for f in dataclasses.fields(paper) if f.name not in skipped]
        names = [name for name in names if getattr(ours, name) != getattr(paper, name)]
        if names:
            sides = (", ".join(f"{_words(n)} {_value(getattr(part, n))}" for n in names) for part in (ours, paper))
            found.append("{}: {}; the paper: {}".format(role, *sides))
    return found


def weights_notes(use: Components) -> list[str]:
    """The files of weights that stand in for the paper's, by name, and where the real ones would come from."""
    notes = []
    feature, retrieval = use.feature, use.retrieval
    if isinstance(feature, SiftCrbnet):
        file = pathlib.Path(feature.files()[0]).name
        whose = "of this package" if feature.weights == LITE else "a training of your own"
        notes.append(
            f"stand-in: {file} ({whose}) for the weights of CRBNet, which its authors did not publish; "
            f"+pipeline=train_crbnet makes a {CRBNET}.safetensors, for the folder that {FOLDER} names"
        )
    if isinstance(retrieval, NetVlad):
        published = read_manifest()[WEIGHTS["vgg16"]]
        file = pathlib.Path(retrieval.files()[0]).name
        if file != published.file:
            notes.append(
                f"stand-in: {file} (backbone {retrieval.backbone}, its words learned from the references) for "
                f"{published.file} of NetVLAD's authors, from {published.urls[0]}: +pipeline=weights "
                f"'pipeline.get=[{published.name}]'"
            )
    return notes


def _told(part) -> str:
    """A component in a reader's words; one that there are none for by its name and what is changed in it."""
    if isinstance(part, RandomTrees):
        items = "means" if part.items == "mean" else "all observations"
        share = f"{part.budget:g} of {'the probability mass' if part.budget_unit == 'mass' else part.budget_unit}"
        return (
            f"random trees of {items}, leaves of {part.leaf_size}, {share}, {part.noise:g} times the map's deviation, "
            f"the {part.num_scored} nearest by bits compared by values"
        )
    if isinstance(part, LiteralTrees):
        return (
            f"{part.num_trees} trees of all observations, depth {part.max_depth}, the best {part.num_leaves} leaves "
            f"{'of each tree' if part.scope == 'per_tree' else 'in all'}, all in them compared by values"
        )
    if isinstance(part, MapImport):
        return "the supplied 3D model, described at its own keypoints"
    if isinstance(part, Triangulation):
        return "a map of our own keypoints, triangulated"
    if isinstance(part, NetVlad):
        return f"NetVLAD with the published weights, {part.dim or 4096} values"
    if isinstance(part, Fusion):
        return "the fusion of " + " and ".join(type(p).__name__ for p in part.parts)
    if isinstance(part, Guided):
        return f"{part.rounds} guided rounds, accepted by the confidence"
    if isinstance(part, NoRefinement):
        return "one round, accepted by the number of inliers"
    if isinstance(part, Leaves | Frames):
        return "prior leaves alone" if isinstance(part, Leaves) else "prior frames alone"
    return told(part)


def told(part) -> str:
    """The component's name, and the fields that are not as they are by default."""
    changed = [
        f"{f.name}={getattr(part, f.name)}" for f in dataclasses.fields(part) if getattr(part, f.name) != f.default
    ]
    return type(part).__name__ + (f" ({', '.join(changed)})" if changed else "")


def _words(field: str) -> str:
    return WORDS.get(field, field.replace("_", " "))


def _value(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)
