"""Map once: the references' map, index and global descriptors in one folder that Localizer.load opens."""

import os
import pathlib
import tempfile

from localize.localizer import Localizer, check_answers
from localize.pipelines.kept_map import save_map, sources_of
from localize.pipelines.mapped_scene import map_scene
from localize.roles import Components
from localize.stages import Workbench, build_index, reference_photos
from localize.store import Store
from localize.types import Scene


def run(
    reference_scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str, **components
) -> str:
    """Map the references into `output`/map; says how to open it."""
    folder = pathlib.Path(output) / "map"
    build_map(reference_scene, folder, store=store, workers=workers, progress=progress, **components)
    return f"The map is in {folder}; open it with localize.Localizer.load({str(folder)!r})."


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
    use = Components(**components)
    check_answers(use)
    bench = Workbench(store, workers, progress)
    mapped = map_scene(bench, use, scene, describe=True)
    index = build_index(bench, use.index, mapped.points) if use.search.uses_leaves else None
    return save_map(bench, use, mapped, index, sources_of(use, mapped, reference_photos(scene), scene.unit), folder)
