"""Real descriptors of maps and photos as one set for `+pipeline=benchmark_index pipeline.descriptors=FOLDER`.

    python benchmarks/real_descriptors.py FOLDER --towns minitown TOWN... --strecha Herz-Jesu-P25... --photos FOX...
        [--feature dense_crbnet] [--store outputs/store] [--workers 2]

TOWN is a folder that +pipeline=render_minitown wrote; of these and of the folders of Strecha et al. the map's points,
its references' other keypoints, observations left out of the map and queries of known pose are taken. --photos are
folders of photos of other places, searched through, all of whose keypoints are distractors. Whatever the store holds of
the features and maps is used.
"""

import argparse
import pathlib

from localize.datasets.minitown import Minitown
from localize.datasets.strecha import Strecha
from localize.evaluate.search.descriptor_sets import joined, thinned
from localize.evaluate.search.scene_descriptors import distractors
from localize.features.dense_crbnet import DenseCrbnet
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.io.images import read_photo
from localize.io.records import save_record
from localize.pipelines.judging.map_descriptors import descriptors_of_scene
from localize.stages import PhotoList, Workbench, extract_features
from localize.store import Store
from localize.types import Camera, Image, ImageList

FEATURES = {"sift_crbnet": SiftCrbnet, "dense_crbnet": DenseCrbnet, "sift": Sift}
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm")


def photos_in(folder: pathlib.Path) -> ImageList:
    """All photos below a folder, with a camera that only says how large they are."""
    images = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        height, width = read_photo(path, grey=True).shape[:2]
        camera = Camera("SIMPLE_PINHOLE", width, height, [1.2 * width, width / 2, height / 2])
        images.append(Image(path.relative_to(folder).as_posix(), camera))
    return ImageList(images)


def town(root: str) -> Minitown:
    """A rendered town with all the conditions it has."""
    if root == "minitown":
        return Minitown()
    return Minitown(root=root, conditions=tuple(sorted(p.name for p in (pathlib.Path(root) / "query").iterdir())))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--towns", nargs="*", default=[])
    arguments.add_argument("--strecha", nargs="*", default=[])
    arguments.add_argument("--photos", nargs="*", default=[])
    arguments.add_argument("--feature", choices=FEATURES, default="sift_crbnet")
    arguments.add_argument("--store", default="outputs/store")
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--queries", type=int, default=2000, help="of each condition")
    given = arguments.parse_args()
    feature, store = FEATURES[given.feature](), Store(given.store)
    scenes = [town(root).load() for root in given.towns]
    scenes += [Strecha(root).load() for root in given.strecha]
    sets = []
    for scene in scenes:
        sets.append(descriptors_of_scene(scene, store, {"feature": feature}, given.workers, True, given.queries, 0))
        asked = {c: len(sets[-1].asked(c)[0]) for c in sets[-1].conditions}
        print(f"{scene.name}: {sets[-1].num_points} points, {len(sets[-1].point)} rows, queries {asked}", flush=True)
    bench = Workbench(store, given.workers, True)
    for root in given.photos:
        photos = extract_features(bench, feature, PhotoList("photo", root, photos_in(pathlib.Path(root))))
        sets.append(distractors(photos.images, photos.features, root))
        print(f"{root}: {sets[-1].num_points} distractors", flush=True)
    number = sum(s.num_points for s in sets)
    found = thinned(joined(sets, f"{number} points of real photos, {given.feature}"), given.queries)
    save_record(pathlib.Path(given.folder), found)
    print(f"{number} points, {sum(len(s.point) for s in sets)} rows are in {given.folder}")


if __name__ == "__main__":
    main()
