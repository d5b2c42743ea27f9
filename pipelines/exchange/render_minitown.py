"""Minitown: a small town rendered with physically based light, references and queries in four conditions."""

import logging
import pathlib

from localize.progress import work
from localize.render import folder as files
from localize.render.film import depth_png, jpeg
from localize.render.light import LIGHTS
from localize.render.mitsuba_scene import Renderer, versions
from localize.render.shoot import photograph
from localize.render.town import build_town
from localize.render.views import all_views

log = logging.getLogger(__name__)
VERSION = 1
SEEDS = {"benchmark": 1, "training": 2}


def run(
    *,
    output: str,
    progress: bool = False,
    workers: int = 1,
    town: str = "benchmark",
    seed: int | None = None,
    samples: int = 4,
    queries: int = 22,
    quality: int = 90,
    depth: bool = False,
) -> None:
    """Write photos, cameras.txt, poses.txt and made_from.json into `output`; photos already there are kept.

    `town` is benchmark or training, `seed` None takes the town's own; `samples` are light paths per pixel of a picture
    1.5 times finer than the photo, `queries` photos per condition, `depth` adds depth/*.png (16 bit, millimetres along
    the optical axis), `workers` are threads. InputError if mitsuba is missing or `output` holds
    photos made otherwise.
    """
    seed = SEEDS.get(town, 0) if seed is None else seed
    folder = pathlib.Path(output)
    settings = {"town": town, "seed": seed, "samples": samples, "queries": queries, "quality": quality}
    made_from = {"version": VERSION, **settings, **versions()}
    place = build_town(town, seed)
    files.claim(folder, made_from)
    views = all_views(place, seed, queries)
    files.write_lists(folder, views)
    todo = [v for v in views if not files.is_done(folder, v, depth)]
    log.info("%s: %d photos, %d of them to render", town, len(views), len(todo))
    with work("photos", len(views), len(views) - len(todo), shown=progress) as bar:
        for condition in dict.fromkeys(v.condition for v in todo):
            renderer = Renderer(place, LIGHTS[condition], workers)
            for view in (v for v in todo if v.condition == condition):
                picture, depth_m = photograph(renderer, view, samples, seed)
                if depth:
                    files.write_whole(folder / files.depth_name(view.name), depth_png(depth_m))
                files.write_whole(folder / view.name, jpeg(picture, quality))
                bar.update()
    files.write_made_from(folder, made_from, views)
