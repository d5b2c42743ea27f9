"""Which pairs of references are matched: all, or each with those a ranking puts first."""

import itertools
import logging
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse

from localize.io.models.supplied import check_model
from localize.types import ImageList, InputError, ModelFiles, Retrieval, SourceModel

log = logging.getLogger(__name__)

PAIRS = ("retrieval", "exhaustive", "poses", "covisibility", "frusta")
MANY = 500  # references, all pairs of which take hours to match
MOST = 3000  # references, all pairs of which are not matched: 4.5 million


def neighbour_pairs(ranking: Retrieval) -> list[tuple[str, str]]:
    """Pairs of references to match, each once, names ascending, from the ranking of references among themselves."""
    pairs = {
        tuple(sorted((name, ranking.reference_names[j])))
        for name, row in zip(ranking.query_names, ranking.ranked, strict=True)
        for j in row
        if j >= 0
    }
    return sorted(pairs)


def all_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair of references once, names ascending. InputError where that cannot be meant."""
    check_number(len(names))
    if len(names) > MANY:
        log.warning("%d references make %d pairs to match", len(names), len(names) * (len(names) - 1) // 2)
    return list(itertools.combinations(sorted(names), 2))


def check_number(references: int) -> None:
    """InputError if so many references are too many to match each with each."""
    if references > MOST:
        count = references * (references - 1) // 2
        raise InputError(
            f"mapping.pairs=exhaustive would match {count} pairs of {references} references, but takes at most {MOST} "
            "references: take mapping.pairs=retrieval"
        )


def model_of_pairs(supplied: ModelFiles | None) -> pathlib.Path:
    """The supplied model whose shared points pairs=covisibility counts; InputError if there is none."""
    if supplied is None:
        raise InputError(
            "mapping.pairs=covisibility counts the shared points of a 3D model that comes with the scene, but this one "
            "comes without: take mapping.pairs=retrieval, or poses"
        )
    check_model(pathlib.Path(supplied.model), "mapping.pairs=retrieval")
    return pathlib.Path(supplied.model)


def rank_by_covisibility(
    model: SourceModel, images: ImageList, names: Mapping[str, str], num_neighbours: int
) -> Retrieval:
    """For each image up to `num_neighbours` others that share points of the model with it, most first.

    names: the images' in the model. An image that the model does not have shares nothing; InputError if none shares
    any. Ties go to the earlier image. The score is the number of points that both see.
    """
    ours = {names.get(image.name): i for i, image in enumerate(images)}
    of_model = np.array([ours.get(name, -1) for name in model.names], np.int64)
    image, point = of_model[model.image], np.repeat(np.arange(len(model.points)), np.diff(model.indptr))
    known = image >= 0
    shape = len(images), len(model.points)
    sees = scipy.sparse.csr_array((np.ones(np.count_nonzero(known)), (image[known], point[known])), shape)
    sees.data[:] = 1  # an image may see a point twice
    shared = scipy.sparse.csr_array(sees @ sees.T)
    width = min(num_neighbours, len(images))
    index, score = np.full((len(images), width), -1, np.int32), np.full((len(images), width), -np.inf, np.float32)
    for i in range(len(images)):
        row = slice(shared.indptr[i], shared.indptr[i + 1])
        others, count = shared.indices[row], shared.data[row]
        others, count = others[others != i], count[others != i]
        order = np.lexsort((others, -count))[:width]
        index[i, : len(order)], score[i, : len(order)] = others[order], count[order]
    alone = [image.name for image, row in zip(images, index, strict=True) if row.max(initial=-1) < 0]
    if len(alone) == len(images):
        raise InputError(
            "no two references share a point of the supplied model: check that it is of these photos, or take "
            "mapping.pairs=retrieval"
        )
    if alone:
        log.warning("%d references, such as %s, share no point of the supplied model with others", len(alone), alone[0])
    return Retrieval(images.names, images.names, index, score)
