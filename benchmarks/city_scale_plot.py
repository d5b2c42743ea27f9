"""What city_scale.py measured as a picture: the most memory of its own that each stage took, against the observations.

    python benchmarks/city_scale_plot.py docs/memory.svg RESULTS.jsonl...

A stage that was measured twice at one size is drawn as it was last.
"""

import argparse
import json
import pathlib

import matplotlib as mpl
from matplotlib.figure import Figure

STAGES = {  # the name of each in the picture
    "triangulate": "triangulation", "check": "checks of the map", "rows": "rows", "RandomTrees": "random trees",
    "LiteralTrees": "literal trees", "search": "search",
}  # fmt: skip
BOUND_GB = 24


def curves(lines: list[dict]) -> dict[str, list[tuple[float, float]]]:
    """(observations, GB) by stage, ascending; sizes whose observations are not known yet are left out."""
    observations = {line["size"]: line["observations"] for line in lines if line["stage"] == "triangulate"}
    found: dict[str, dict[str, float]] = {stage: {} for stage in STAGES}
    for line in lines:
        stage = line["index"] if line["stage"] == "index" else line["stage"]
        if stage in found and line["size"] in observations:
            found[stage][line["size"]] = line["own MB"] * 2**20 / 1e9
    return {stage: sorted((observations[size], gb) for size, gb in of.items()) for stage, of in found.items() if of}


def draw(path: pathlib.Path, found: dict[str, list[tuple[float, float]]]) -> None:
    """The picture, log-log, as small as text in it allows."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "localize", "font.family": "sans-serif"}
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for stage, points in found.items():
        axes.loglog(*zip(*points, strict=True), marker="o", markersize=4, label=STAGES[stage])
    axes.axhline(BOUND_GB, color="black", linestyle="--", linewidth=1)
    axes.annotate(f"{BOUND_GB} GB", (1, BOUND_GB), (0, 4), ("axes fraction", "data"), "offset points", ha="right")
    axes.set(xlabel="observations in the map", ylabel="own memory at most, GB", xlim=(3e5, 1e8), ylim=(0.05, 60))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=9)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("results", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    draw(args.picture, curves([json.loads(line) for path in args.results for line in path.read_text().splitlines()]))


if __name__ == "__main__":
    main()
