"""A table in Markdown of finished runs, such as those of a multirun: recall per condition, time and size of the map.

python -m localize +pipeline=parallel_search feature=sift,alike retrieval=compact,gem hydra.sweep.dir=runs -m
python benchmarks/feature_table.py runs
"""

import argparse
import json
import pathlib
import re

HEADER = ["settings", "localized", "features s", "global s", "rest s", "points", "map + index MB"]


def main() -> None:
    """Print a row per folder with a results.json, in the order of their paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="that holds the runs' folders")
    rows, conditions = [], ["all"]
    for path in sorted(parser.parse_args().folder.rglob("results.json")):
        found = json.loads(path.read_text())
        conditions += [c for c in found["conditions"] if c not in conditions]
        rows.append((_settings(path), found))
    titles = [HEADER[0], *conditions, *HEADER[1:]]
    print("| " + " | ".join(titles) + " |")
    print("| " + " | ".join(["---"] * len(titles)) + " |")
    for settings, found in rows:
        print("| " + " | ".join([settings, *(_recall(found, c) for c in conditions), *_costs(found)]) + " |")


def _settings(path: pathlib.Path) -> str:
    """What was swapped, from the run's own record; else the name of its folder."""
    overrides = path.parent / ".hydra" / "overrides.yaml"
    lines = re.findall(r"^- ((?:feature|retrieval)\S*)$", overrides.read_text(), re.M) if overrides.is_file() else []
    return " ".join(lines) or path.parent.name


def _recall(found: dict, condition: str) -> str:
    recall = found["conditions"].get(condition, {}).get("recall", {})
    return " / ".join(f"{100 * share:.1f}" for share in recall.values())


def _costs(found: dict) -> list[str]:
    seconds = {name: s or 0.0 for name, s in found["seconds_per_query"].items()}
    local, whole = seconds.pop("features"), seconds.pop("global descriptor", 0.0)
    sizes = found["map"]
    megabytes = (sizes["bytes"] + sizes["index_bytes"]) / 1e6
    count = f"{found['num_localized']} of {found['num_queries']}"
    times = [f"{s:.2f}" for s in (local, whole, sum(seconds.values()))]
    return [count, *times, f"{sizes['points']:,}", f"{megabytes:.1f}"]


if __name__ == "__main__":
    main()
