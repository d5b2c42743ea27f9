"""What is said when a run has ended: the results, and what to open."""

import json
import os
import pathlib

from localize import console
from localize.io.text import write_text
from localize.progress import spoken
from localize.types import Report

FILES = {  # what is in a run's folder, for whom looks at it
    "poses.txt": "the poses",
    "results.json": "all that is known of each query",
    "summary.txt": "what stands above",
    "reconstruction": "the references' poses and points, for COLMAP and dataset=colmap",
    "localize.log": "what was said on the way",
}


def ended(said, output: str, store_root, foretold, seconds: float) -> dict | None:
    """Say what a pipeline returned, and where its results are; results.json, where a multirun compares it.

    foretold: the Estimate of the run, for results.json; None: there is none.
    """
    folder = pathlib.Path(output)
    path = folder / "results.json"
    results = json.loads(path.read_text()) if path.is_file() and said is not None else {}
    if isinstance(said, Report):
        _scored(said, results, folder, store_root, foretold, seconds)
    else:
        if isinstance(said, str):
            console.say(said)
        console.event("ended", ok=True, seconds=round(seconds, 1), **_where(folder), text=said)
        results = results if isinstance(said, str) and "compared" in results else {}
    return results or None


def failed(output: str) -> None:
    """Tell a program that a run ended without results; why, it has heard."""
    console.event("ended", ok=False, **_where(pathlib.Path(output)))


def _scored(report: Report, results: dict, folder: pathlib.Path, store_root, foretold, seconds: float) -> None:
    from localize.stages.results import results_text  # brings all default components, which are there by now
    from localize.stages.summary import table

    if foretold is not None:
        results["estimated"] = foretold.as_json()
        write_text(folder / "results.json", results_text(results))
    computed, reused = (sum(stage[what] for stage in results["stages"]) for what in ("computed", "reused"))
    there = {_short(folder / name): what for name, what in FILES.items() if (folder / name).exists()}
    files = "\n".join(f"  {path:<{max(map(len, there))}}  {what}" for path, what in there.items())
    took = f"{spoken(seconds)}; {computed} results were computed, {reused} taken from {_short(store_root)}"
    text = (folder / "summary.txt").read_text()
    console.say(f"{text}\nFiles:\n{files}\nThe run took {took}.", table=table(report, results))
    counts = {"queries": results["num_queries"], "localized": results["num_localized"]}
    counts |= {"computed": computed, "reused": reused}
    console.event(
        "ended", ok=True, seconds=round(seconds, 1), **_where(folder), **counts, conditions=results["conditions"]
    )


def _where(folder: pathlib.Path) -> dict:
    """The run's folder and the files in it, for programs."""
    there = sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []
    return {"output": str(folder), "files": {p.name: str(p) for p in there}}


def _short(path) -> str:
    """A path as one types it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
