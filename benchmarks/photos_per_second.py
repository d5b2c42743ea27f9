"""Photos a second of features and global descriptors, on one thread and with a worker on each core.

LOCALIZE_WEIGHTS=FOLDER python benchmarks/photos_per_second.py              # Minitown's photos, 640 x 480
LOCALIZE_WEIGHTS=FOLDER python benchmarks/photos_per_second.py --photos Herz-Jesu-P25/images --number 4

Reading the photo counts, loading the network does not. Where a GPU is found, the networks run on it.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import pathlib
import time

import torch

import localize.datasets
from localize.features.alike import Alike
from localize.features.d2net import D2Net
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.io.images import list_photos, read_photo
from localize.kernels.threads import available_cores
from localize.retrieval.base import NothingLearned
from localize.retrieval.compact import Compact
from localize.retrieval.gem import Gem
from localize.types import InputError

PARTS = {
    "feature=sift": Sift(),
    "feature=sift_crbnet": SiftCrbnet(),
    "feature=alike": Alike(),
    "feature=d2net backbone=small": D2Net(backbone="small", max_keypoints=3000),
    "feature=d2net backbone=resnet50v2": D2Net(backbone="resnet50v2", max_keypoints=3000),
    "retrieval=compact": Compact(),
    "retrieval=gem": Gem(),
}


def work(name: str, path: pathlib.Path) -> None:
    """What the stage does with one photo."""
    torch.set_num_threads(1)
    part = PARTS[name]
    photo = read_photo(path, grey=getattr(part, "grey", False))
    part.extract(photo) if hasattr(part, "extract") else part.describe(photo, NothingLearned())


def rate(name: str, paths: list[pathlib.Path], workers: int) -> float:
    """Photos a second in so many processes, of which each has seen two photos before."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        list(pool.map(functools.partial(work, name), paths[:1] * (2 * workers)))
        start = time.perf_counter()
        list(pool.map(functools.partial(work, name), paths))
        return len(paths) / (time.perf_counter() - start)


def main() -> None:
    """Print a row per part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    minitown = pathlib.Path(localize.datasets.__path__[0]) / "minitown_photos" / "db"
    parser.add_argument("--photos", type=pathlib.Path, default=minitown, help="folder of photos")
    parser.add_argument("--number", type=int, default=16, help="of photos, spread evenly")
    args = parser.parse_args()
    names = list_photos(args.photos)
    paths = [args.photos / name for name in names[:: max(1, len(names) // args.number)][: args.number]]
    cores = available_cores()
    device = "a GPU" if torch.cuda.is_available() else "no GPU"
    print(f"{len(paths)} photos, {device}; photos/s with 1 worker, with {cores} workers")
    for name, part in PARTS.items():
        try:
            part.files() if hasattr(part, "files") else None
        except InputError as e:
            print(f"{name}: {e}")
            continue
        print(f"{name:36} {rate(name, paths, 1):7.2f} {rate(name, paths, cores):7.2f}", flush=True)


if __name__ == "__main__":
    main()
