"""Map once: the references' map, index and global descriptors in one folder that Localizer.load opens."""

import os
import pathlib
import tempfile

from localize.localizer import Localizer, check_answers
from localize.pipelines.kept_map import save_map, sources_of
from localize.pipelines.mapped_scene import map_scene
from localize.roles import Components
from localize.stages import LocalizationMap, Workbench, build_index, place_references, reference_photos
from localize.stages.summary import map_summary
from localize.store import Store
from localize.types import Scene


def run(
    reference_scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str, **components
) -> str:
    """Map the references into `output`/map; says how good the map is, and how to ask it."""
    folder = pathlib.Path(output) / "map"
    bench = Workbench(store, workers, progress)
    scene = place_references(bench, Components(**components), reference_scene, output, score=False)
    _, points = _built(bench, scene, folder, components)
    return map_summary(points, folder, scene.notes)


def build_map(
    scene: Scene,
    folder: str | os.PathLike,
    *,
    store: Store | None = None,
    workers: int = 1,
    progress: bool = False,
    **components,
) -> Localizer:
    """Build the map of a scene's references, save it into `folder`, and return it ready for queries.

    components: any of the fields of `roles.Components`. Without a store nothing but the map is kept on disk.
    """
    if store is None:
        with tempfile.TemporaryDirectory(prefix="localize-store-") as temporary:
            build_map(scene, folder, store=Store(temporary), workers=workers, progress=progress, **components)
        return Localizer.load(folder, classes=[type(component) for component in components.values()])
    return _built(Workbench(store, workers, progress), scene, folder, components)[0]


def _built(
    bench: Workbench, scene: Scene, folder: str | os.PathLike, components: dict
) -> tuple[Localizer, LocalizationMap]:
    """The map, saved, and what it was made of."""
    use = Components(**components)
    check_answers(use)
    scene = place_references(bench, use, scene, score=False)  # where they have no poses yet
    mapped = map_scene(bench, use, scene, describe=True)
    index = build_index(bench, use.index, mapped.points) if use.search.uses_leaves else None
    sources = sources_of(use, mapped, reference_photos(scene), scene.unit)
    return save_map(bench, use, mapped, index, sources, folder), mapped.points
