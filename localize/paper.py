"""settings=paper: what the parallel search paper ran, what stands in where its files are missing, what differs from it.

The settings are named in docs/settings.md. conf/settings/paper.yaml composes the same components for the command line.
"""

import dataclasses
import logging

from localize.features.sift_crbnet import SiftCrbnet
from localize.mapping.imported import Imported
from localize.mapping.triangulation import Triangulation
from localize.retrieval.netvlad import WEIGHTS, NetVlad
from localize.types import InputError
from localize.weights.manifest import FOLDER, read_manifest, weights_folder

log = logging.getLogger(__name__)
CRBNET, LITE = "crbnet256", "crbnet256_lite"  # the paper's network, which nobody published; the one that ships


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


def supplied(dataset, imported: Imported, triangulation: Triangulation) -> Imported | Triangulation:
    """The mapping for a dataset: imported where its model and keypoints come with it, else triangulation."""
    try:
        comes = getattr(dataset, "supplies_keypoints", False)
    except InputError:  # it is not there, which is said when it is loaded
        comes = False
    if not comes:
        log.info("the dataset brings no keypoints that its 3D model counts: the map is triangulated")
    return imported if comes else triangulation
