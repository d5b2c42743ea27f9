"""Whether the keypoints that came with a 3D model are upright: their orientations are 0, or their patches turned.

Descriptors of turned patches do not match those of upright ones, so references and queries must be of one kind.
"""

import dataclasses
import logging
import pathlib
from typing import TYPE_CHECKING

from localize.io.models.colmap_database import ColmapDatabase
from localize.mapping.base import MapImport
from localize.types import InputError, Scene

if TYPE_CHECKING:
    from localize.roles import Components

log = logging.getLogger(__name__)
LOOKED_AT = 20  # photos, spread evenly


def supplied_upright(scene: Scene) -> bool | None:
    """Whether all orientations in the supplied database are 0; None where there are none to tell it from."""
    files = scene.supplied
    if files is None or files.database is None or not pathlib.Path(files.database).is_file():
        return None
    database, names = ColmapDatabase(files.database), [name.removeprefix("./") for name in files.names.values()]
    names = [name for name in names if name in database.names]
    looked = [database.keypoints(name)[2] for name in names[:: max(1, len(names) // LOOKED_AT)]]
    found = [orientations for orientations in looked if orientations is not None and len(orientations)]
    return all(not orientations.any() for orientations in found) if found else None


def like_supplied(feature, mapping, scene: Scene, *, asked: bool = False):
    """The feature, upright as the supplied keypoints are where `mapping` imports them.

    asked: the user set `feature.upright`, so it is not changed; InputError if it then contradicts the database.
    """
    if not (isinstance(mapping, MapImport) and hasattr(feature, "upright")):
        return feature
    upright = supplied_upright(scene)
    if upright is None or upright == feature.upright:
        return feature
    if asked or feature.upright:  # no default is upright
        refuse_turned(feature, scene)
    log.info("%s: feature.upright=true", _note(scene))
    return dataclasses.replace(feature, upright=True)


def refuse_turned(feature, scene: Scene) -> None:
    """InputError if the supplied keypoints are upright and the feature is not, or the other way."""
    upright = supplied_upright(scene)
    if upright is None or upright == getattr(feature, "upright", upright):
        return
    kinds = ("upright (all orientations are 0)", "turned") if upright else ("turned", "upright")
    raise InputError(
        f"the keypoints of {scene.supplied.database} are {kinds[0]}, but those of the queries would be {kinds[1]}, and "
        f"such descriptors do not match: take feature.upright={str(upright).lower()}, or mapping=triangulation"
    )


def upright_notes(use: "Components", scene: Scene) -> list[str]:
    """What the results say where references and queries are upright because the supplied keypoints are."""
    imported = isinstance(use.mapping, MapImport) and scene.supplied is not None and scene.supplied.database is not None
    return [_note(scene)] if imported and getattr(use.feature, "upright", False) else []


def _note(scene: Scene) -> str:
    return f"the keypoints of {scene.supplied.database} are upright, and so are those of the queries"
