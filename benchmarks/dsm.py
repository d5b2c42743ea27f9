"""Deep spatial matching's cost: milliseconds per photo for its regions, and per pair of photos; bytes per photo.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/dsm.py

Generated maps of three scales, the first of 30 x 40 cells: smoothed noise, of which a fifth is above zero, as a
ResNet's is. The second photo of a pair shows the first one moved by three cells, with noise of its own, or another
scene. One thread, median of its CPU time.
"""

import time

import numpy as np
from scipy.ndimage import gaussian_filter

from localize.retrieval.regions import RegionSettings, count_activations, gain_of, regions_of
from localize.retrieval.spatial import SpatialSettings, verify
from localize.types import Regions

SIZES = (30, 40), (21, 28), (15, 20)
CELLS = 1.0  # deviation of the smoothing
SHARE = 0.2  # of the cells have an activation
NOISE = 0.3  # of a photo's own, against that of the scene
REPEAT = 9


def photo(scene: np.random.Generator, own: np.random.Generator, num_channels: int, shift: int) -> list[np.ndarray]:
    """Maps (C, h, w) float32 of a scene that lies `shift` cells lower and further right."""
    found = []
    for size in SIZES:
        noise, mine = (gaussian_filter(r.normal(size=(num_channels, *size)), (0, CELLS, CELLS)) for r in (scene, own))
        noise = np.roll(noise, (shift, shift), (1, 2)) + NOISE * mine
        found.append(np.maximum(noise - np.quantile(noise, 1 - SHARE), 0).astype(np.float32))
    return found


def milliseconds(work, *given) -> float:
    """Median of some repetitions, CPU of this thread."""
    work(*given)
    taken = []
    for _ in range(REPEAT):
        start = time.thread_time()
        work(*given)
        taken.append(time.thread_time() - start)
    return 1000 * float(np.median(taken))


def num_bytes(regions: Regions) -> int:
    """What its arrays take on disk, before the store compresses them."""
    return sum(values.nbytes for values in vars(regions).values())


def num_tentative(query: Regions, reference: Regions) -> int:
    """Tentative matches of all pairs of levels."""
    return int((query.channels[:, None] == reference.channels).sum())


def crowded(rng: np.random.Generator, num: int, num_channels: int) -> Regions:
    """As many regions at one scale, spread over a few channels: more tentative matches than photos have."""
    channels = np.sort(rng.integers(0, num_channels, num))
    covariances = np.column_stack((rng.uniform(1, 3, num), rng.uniform(-0.5, 0.5, num), rng.uniform(1, 3, num)))
    centers = rng.uniform((0, 0), (40, 30), (num, 2))
    return Regions(centers, covariances, channels, np.zeros(num), rng.random(num), [SIZES[0]])


def measure(num_channels: int, max_regions: int) -> None:
    """Print the lines of one backbone."""
    settings = RegionSettings(max_regions=max_regions)
    maps = photo(np.random.default_rng(0), np.random.default_rng(1), num_channels, 0)
    same = photo(np.random.default_rng(0), np.random.default_rng(2), num_channels, 3)
    other = photo(np.random.default_rng(3), np.random.default_rng(4), num_channels, 0)
    gain = gain_of(count_activations(same[0]) + count_activations(other[0]))
    query = regions_of(maps, settings, True, gain)
    print(f"{num_channels} channels, 3 scales, at most {max_regions} regions")
    for kind, of_query in (("query", True), ("reference", False)):
        regions = regions_of(maps, settings, of_query, gain)
        spent = milliseconds(regions_of, maps, settings, of_query, gain)
        print(f"  a {kind}: {spent:.0f} ms, {len(regions)} regions, {num_bytes(regions):,} bytes")
    for scene, seen in (("same scene", same), ("another scene", other)):
        reference = regions_of(seen, settings, False, gain)
        for variant in SpatialSettings(), SpatialSettings(shape="official"), SpatialSettings(error="max_px"):
            spent, score = milliseconds(verify, query, reference, variant), verify(query, reference, variant).score
            of = f"{num_tentative(query, reference)} tentative matches, {int(score)} inliers"
            print(f"  {scene}: {spent:.2f} ms a pair ({of}, {variant.shape}, {variant.error})")


def main() -> None:
    """Print the figures."""
    measure(512, 512)
    measure(1024, 2048)
    query, reference = crowded(np.random.default_rng(5), 512, 40), crowded(np.random.default_rng(6), 512, 40)
    spent = milliseconds(verify, query, reference, SpatialSettings())
    print(
        f"512 regions of 40 channels at one scale: {spent:.2f} ms a pair, {num_tentative(query, reference)} matches cut"
    )


if __name__ == "__main__":
    main()
