"""Patches a second of the patch networks on one CPU thread, beside SIFT on the same photo, as one Markdown table.

    python benchmarks/patch_network.py PHOTO [--networks crbnet256_lite crbnet256 l2net128] [--patches 512]

Times are CPU seconds of this process, so that other work on the machine disturbs them less. The variants take turns;
the median of the rounds counts. The weights are random: speed does not depend on them.
"""

import argparse
import functools
import time
from collections.abc import Callable

import numpy as np
import torch

from localize.features.sift import Sift
from localize.io.images import read_photo
from localize.kernels.patches import extract_patches
from localize.networks.inference import describe, prepared
from localize.networks.patches import NAMES, patch_network

ROUNDS = 5


def as_trained(network: torch.nn.Module, patches: np.ndarray) -> np.ndarray:
    """The module as it comes out of training, for comparison."""
    with torch.inference_mode():
        parts = torch.from_numpy(patches)[:, None].split(64)
        return torch.cat([network(part) for part in parts]).numpy()


def in_turns(works: dict[str, Callable]) -> dict[str, float]:
    """Median CPU seconds of each, after a first round that does not count."""
    seconds = {name: [] for name in works}
    for _ in range(ROUNDS + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
    return {name: float(np.median(s[1:])) for name, s in seconds.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photo")
    arguments.add_argument("--networks", nargs="*", choices=NAMES, default=["crbnet256_lite"])
    arguments.add_argument("--patches", type=int, default=512)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    photo, sift = read_photo(given.photo, grey=True), Sift()
    found = sift.extract(photo)
    cut = functools.partial(extract_patches, photo, found.keypoints, found.scales, found.orientations)
    patches, _ = cut()
    some = patches[np.linspace(0, len(patches) - 1, given.patches).astype(int)]
    works = {"sift": lambda: sift.extract(photo), "patches": cut}
    for name in given.networks:
        network = patch_network(name).eval()
        works[f"{name}, as trained"] = functools.partial(as_trained, network, some)
        for precision in ("float32", "bfloat16"):
            ready = prepared(network, precision, "cpu")
            works[f"{name}, prepared, {precision}"] = functools.partial(describe, ready, some)
    seconds = in_turns(works)
    height, width = photo.shape
    print(f"photo {width} x {height} px: {len(found)} keypoints, {len(patches)} of them with a patch inside\n")
    print("| what | patches | CPU seconds | patches a second |\n| --- | --- | --- | --- |")
    for name, s in seconds.items():
        n = {"sift": len(found), "patches": len(patches)}.get(name, len(some))
        print(f"| {name} | {n} | {s:.2f} | {n / s:.0f} |")


if __name__ == "__main__":
    main()
