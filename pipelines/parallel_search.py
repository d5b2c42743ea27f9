"""Parallel search: prior leaves and prior frames together. With search=leaves or search=frames, one of the two."""

from localize.pipelines.steps import Components, localize_queries, map_scene, read_queries
from localize.stages import Workbench, build_index, write_results
from localize.store import Store
from localize.types import Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Map the references, localize the queries, score; writes poses.txt and results.json if `output` is given.

    components: any of the fields of `steps.Components`; workers change the time a run takes, never its results.
    """
    use = Components(**components)
    bench = Workbench(store, workers, progress)
    town = map_scene(bench, scene, use)
    photos = read_queries(bench, scene, use)
    index = build_index(bench, use.index, town.map) if use.search.uses_leaves else None
    localized = localize_queries(bench, town, photos, index, use)
    return write_results(bench, scene, town.map, localized, use.submission, output)
