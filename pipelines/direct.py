"""Direct matching: prior leaves only (RT_AP with index.order=gaussian, RT with index.order=abs_value)."""

from localize.pipelines.steps import Components, localize_queries, map_scene, read_queries
from localize.search.prior import Leaves
from localize.stages import Workbench, build_index, write_results
from localize.store import Store
from localize.types import InputError, Report, Scene


def run(
    scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str | None = None, **components
) -> Report:
    """Like parallel_search without the frames; retrieval only chooses the reference pairs to match for the map."""
    use = Components(**{"search": Leaves(), **components})
    if use.search.uses_frames:
        raise InputError("pipeline direct searches prior leaves only: take search=leaves, or +pipeline=parallel_search")
    bench = Workbench(store, workers, progress)
    town = map_scene(bench, scene, use)
    photos = read_queries(bench, scene, use)
    index = build_index(bench, use.index, town.map)
    localized = localize_queries(bench, town, photos, index, use)
    return write_results(bench, scene, town.map, localized, use.submission, output)
