"""Image retrieval, then matching: prior frames only (IR)."""

from localize.pipelines.steps import Components, localize_queries, map_scene, read_queries
from localize.search.prior import Frames
from localize.stages import Workbench, write_results
from localize.store import Store
from localize.types import InputError, Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Like parallel_search without the index, which is accepted and not built."""
    use = Components(**{"search": Frames(), **components})
    if use.search.uses_leaves:
        raise InputError("pipeline serial searches prior frames only: take search=frames, or +pipeline=parallel_search")
    bench = Workbench(store, workers, progress)
    town = map_scene(bench, scene, use)
    photos = read_queries(bench, scene, use)
    localized = localize_queries(bench, town, photos, None, use)
    return write_results(bench, scene, town.map, localized, use.submission, output)
