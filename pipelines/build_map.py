"""Map once: the references' map, index and global descriptors in one folder that Localizer.load opens."""

import os
import tempfile

from localize.localizer import Localizer, check_answers
from localize.pipelines.steps import Components, map_scene
from localize.stages import Workbench, build_index
from localize.store import Store
from localize.types import Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Localizer:
    """Map the references and save the Localizer into `output`, if given."""
    use = Components(**components)
    check_answers(use.feature, use.retrieval, use.ranking)
    bench = Workbench(store, workers, progress)
    town = map_scene(bench, scene, use, describe=True)
    index = build_index(bench, use.index, town.map) if use.search.uses_leaves else None
    localizer = Localizer(
        feature=use.feature,
        retrieval=use.retrieval,
        ranking=town.ranking,
        search=use.search,
        matching=use.matching,
        pose=use.pose,
        references=town.map.references,
        rows=town.map.rows,
        index=index,
        learned=town.descriptors.learned,
        vectors=town.vectors,
    )
    if output is not None:
        localizer.save(output)
    return localizer


run.needs_queries = False  # for the check before the work
run.folder = "map"  # of the results, for what is saved


def build_map(scene: Scene, folder: str | os.PathLike, *, store: Store | None = None, **components) -> Localizer:
    """Build the map of a scene's references, save it into `folder`, and return it ready for queries.

    components: any of the fields of `steps.Components`. Without a store nothing but the map is kept on disk.
    """
    if store is not None:
        return run(scene, store, output=folder, **components)
    with tempfile.TemporaryDirectory(prefix="localize-store-") as temporary:
        run(scene, Store(temporary), output=folder, **components)
    return Localizer.load(folder)
