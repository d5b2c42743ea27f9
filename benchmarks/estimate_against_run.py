"""The costs that a run says beforehand, beside what it then took, per stage and in all, each in a store of its own.

    python benchmarks/estimate_against_run.py FOLDER NAME[:SETTING,SETTING...] ...

FOLDER takes the runs and their stores; each NAME is a run, with settings as on the command line, such as
`minitown`, `fast:feature=sift`, `herz:dataset=strecha,dataset.root=Herz-Jesu-P25`. A comma within a setting is not
possible. Lists the ratios, estimated by actual.
"""

import json
import pathlib
import subprocess
import sys

from localize.evaluate.tables import text_table

MB = 1 << 20


def ran(folder: pathlib.Path, name: str, settings: list[str]) -> dict:
    """results.json of the run, which begins with an empty store."""
    where = [f"store.root={folder / name / 'store'}", f"hydra.run.dir={folder / name / 'run'}", "progress=false"]
    command = [sys.executable, "-m", "localize", "+pipeline=parallel_search", *settings, *where]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / name / "run" / "results.json").read_text())


def compared(results: dict, store: pathlib.Path) -> str:
    """A table of the run's stages."""
    took = {stage["name"]: stage for stage in results["stages"]}
    rows = []
    for stage in results["estimated"]["stages"]:
        actual = took[stage["name"]]
        disk_mb = held_mb(store, stage["name"])
        told = stage["seconds"], actual["seconds"], stage["memory_mb"], actual["peak_memory_mb"], stage["disk_mb"]
        rows.append([stage["name"], str(actual["computed"]), *(f"{value:.1f}" for value in told), disk_mb])
    total = results["estimated"]["total"]
    seconds = sum(stage["seconds"] for stage in took.values())
    memory_mb = max(stage["peak_memory_mb"] for stage in took.values())
    disk_mb = sum(file.stat().st_size for file in store.rglob("*") if file.is_file()) / MB
    of_all = total["seconds"], seconds, total["memory_mb"], memory_mb, total["disk_mb"], disk_mb
    rows.append(["total", "", *(f"{value:.1f}" for value in of_all)])
    ratios = [f"{told / actual:.2f}" for told, actual in zip(of_all[::2], of_all[1::2], strict=True)]
    rows.append(["told by actual", "", *(cell for ratio in ratios for cell in (ratio, ""))])
    header = ["stage", "computed", "told s", "s", "told memory MB", "memory MB", "told disk MB", "disk MB"]
    return text_table(header, rows)


def held_mb(store: pathlib.Path, stage: str) -> str:
    """What the store holds of a stage; the features of references and queries lie together."""
    room = {"reference_features": "features", "reference_global": "global_descriptors"}.get(stage, stage)
    if not (store / room).is_dir():
        return "-"
    return f"{sum(file.stat().st_size for file in (store / room).rglob('*') if file.is_file()) / MB:.1f}"


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1])
    for asked in sys.argv[2:]:
        title, _, given = asked.partition(":")
        found = ran(place, title, [setting for setting in given.split(",") if setting])
        print(f"{title}\n{compared(found, place / title / 'store')}\n", flush=True)
