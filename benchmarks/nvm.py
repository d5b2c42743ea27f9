"""Seconds and memory to read a supplied NVM model of a city's size, as one Markdown table.

    python benchmarks/nvm.py [aachen robotcar] [--folder /tmp]

The file is generated (seeded, about as many digits as Aachen's) into a temporary folder and deleted; a fresh process
reads it. Memory is the process's peak above what it held before, with the compiled kernels loaded.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice

import numpy as np

from localize.io.models.nvm import read_nvm

SIZES = {"aachen": (4_328, 1_650_000), "robotcar": (20_862, 6_770_000)}  # images, points
BLOCK = 5_000
SMALL = "NVM_V3\n\n1\na 1 1 0 0 0 0 0 0 0 0\n\n1\n0 0 0 0 0 0 1 0 0 1 1\n"


def generate(path: pathlib.Path, num_images: int, num_points: int) -> None:
    """Write a model with 2 to 12 observations per point, 7 on average."""
    rng = np.random.default_rng(0)
    with open(path, "w") as f:
        f.write(f"NVM_V3 \n \n{num_images}\n")
        for i in range(num_images):
            q = rng.normal(size=4)
            numbers = [1084.59, *(q / np.linalg.norm(q)), *rng.uniform(-900, 900, 3), 0.0810989]
            f.write(f"db/{i:05d}.jpg {' '.join(f'{v:.12f}' for v in numbers)} 0 \n")
        f.write(f" \n{num_points}\n")
        for at in range(0, num_points, BLOCK):
            n = min(BLOCK, num_points - at)
            seen = rng.integers(2, 13, n).tolist()
            total = sum(seen)
            columns = rng.integers(num_images, size=total), rng.integers(20_000, size=total)
            rows = zip(*(c.tolist() for c in columns), *rng.uniform(0, 1600, (2, total)).round(3).tolist(), strict=True)
            points = rng.uniform(-900, 900, (n, 3)).round(4).tolist()
            lines = (f" {image} {feature} {x:.12f} {y:.12f}" for image, feature, x, y in rows)
            for (x, y, z), k in zip(points, seen, strict=True):
                f.write(f"{x:.12f} {y:.12f} {z:.12f} 90 91 92 {k}{''.join(islice(lines, k))}\n")


def measure(path: str, small: str) -> None:
    """Print seconds, bytes of memory above the start, bytes of the arrays."""
    read_nvm(pathlib.Path(small), [])  # loads the kernels
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    model = read_nvm(pathlib.Path(path), [])
    seconds = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    arrays = sum(v.nbytes for v in vars(model).values() if isinstance(v, np.ndarray))
    print(seconds, peak, arrays, len(model.image))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sizes", nargs="*", choices=[[], *SIZES], default=[])
    arguments.add_argument("--folder", default=None)
    given = arguments.parse_args()
    header = ["size", "images", "points", "observations", "file GB", "seconds", "peak MB", "arrays MB", "ratio"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
    for name in given.sizes or SIZES:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            path, small = pathlib.Path(folder) / "model.nvm", pathlib.Path(folder) / "small.nvm"
            small.write_text(SMALL)
            generate(path, *SIZES[name])
            command = [sys.executable, __file__, "--measure", str(path), str(small)]
            read = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            seconds, peak, arrays, observations = map(float, read)
            images, points = SIZES[name]
            cells = [name, images, points, int(observations), f"{path.stat().st_size / 1e9:.2f}", f"{seconds:.1f}"]
            cells += [f"{peak / 1e6:.0f}", f"{arrays / 1e6:.0f}", f"{peak / arrays:.2f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
