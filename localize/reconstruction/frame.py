"""The frame of a model of photos: level, and metric where GPS or a known distance tells the scale."""

from dataclasses import dataclass

import numpy as np

from localize.geometry.georeference import extent, georeferenced, levelled, local_metres, up_direction
from localize.geometry.similarity import Similarity
from localize.types import InputError, Map, Scene

EXTENT = 100.0  # units, where nothing tells the scale: one is a percent of the extent of the cameras
MOST_SCALE_SD = 0.1  # relative; GPS that leaves the scale more open is not taken
LEAST_GPS = 4  # photos with a position
NAMED = 5  # photos in a sentence


@dataclass(frozen=True, eq=False)
class Frame:
    """What makes a model level and, where something tells the scale, metric."""

    similarity: Similarity
    notes: list[str]
    unit: str | None = None  # None: that of the scene
    percent: bool = False  # the unit is a percent of the extent of the cameras


def frame_of(model: Map, scene: Scene) -> Frame:
    """The frame of a model of the references, by GPS, by a distance, or by their extent."""
    first = {image.name: image.taken for image in scene.references if image.taken is not None}
    down = np.array([first[i.name].down if i.name in first else (0, 1) for i in model.images])
    up = up_direction(np.array([image.pose.rotation for image in model.images]), down)
    centers = np.array([image.pose.center for image in model.images])
    level = Similarity(1.0, levelled(up), np.zeros(3))
    level = Similarity(1.0, level.rotation, -level.of_points(centers).mean(0))
    unposed, said = scene.unposed, []
    if unposed.gps:
        found, said = _by_gps(level, model, first)
        if found is not None and unposed.distance is None:
            return Frame(found, said, "m")
        level = Similarity(1.0, found.rotation, found.translation / found.scale) if found is not None else level
        said = said if found is None else [f"by GPS, but for the scale: {said[0]}"]
    if unposed.distance is not None:
        a, b, length = unposed.distance
        missing = [name for name in (a, b) if name not in model.images.by_name]
        if missing:
            raise InputError(
                f"dataset.distance names {missing[0]}, which structure from motion could not place: name two photos of "
                "the model"
            )
        apart = float(np.linalg.norm(np.subtract(*(model.images.by_name[n].pose.center for n in (a, b)))))
        said.append(f"the scale is that of {length:g} between {a} and {b}")
        return Frame(_scaled(level, length / apart), said)
    said.append(
        f"nothing tells the scale, so {EXTENT:g} units are the extent of the references' cameras; "
        "dataset.distance=[FIRST,SECOND,LENGTH] would"
    )
    return Frame(_scaled(level, EXTENT / extent(centers)), said, percent=True)


def _scaled(frame: Similarity, by: float) -> Similarity:
    return Similarity(by * frame.scale, frame.rotation, by * frame.translation)


def _by_gps(level: Similarity, model: Map, taken: dict) -> tuple[Similarity | None, list[str]]:
    """The model in metres east, north, up; None where too few photos have GPS, or it is too coarse for them."""
    rows = [i for i, n in enumerate(model.images.names) if n in taken and taken[n].position is not None]
    if not rows:
        return None, []
    metres = local_metres(np.array([taken[model.images.names[i]].position for i in rows]))
    centers = level.of_points(np.array([model.images.images[i].pose.center for i in rows]))
    found = georeferenced(centers, metres) if len(rows) >= LEAST_GPS else None
    if found is None:
        return None, [
            f"{len(rows)} photos have a GPS position, but at least {LEAST_GPS}, most of them in different places, are "
            "needed for the scale"
        ]
    median = float(np.median(found.residual_m))
    if found.scale_sd > MOST_SCALE_SD:
        return None, [
            f"the GPS positions of {len(rows)} photos are too coarse for the scale: they differ by {median:.1f} m from "
            "the model, whose cameras lie within "
            f"{extent(found.similarity.of_points(centers)):.0f} m"
        ]
    names = [model.images.names[i] for i, good in zip(rows, found.agreeing, strict=True) if not good]
    off = f"; {_some(names)} do not agree and were not used" if names else ""
    return found.similarity.after(level), [
        f"scale, north and up are by the GPS of {found.agreeing.sum()} photos: x is east, y north, z up, in m from "
        f"their median; they differ by {median:.2f} m from the model{' along the ground' * found.level}, and the scale "
        f"is good to {100 * found.scale_sd:.1f} %{off}"
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
