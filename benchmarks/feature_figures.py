"""One row of figures a local feature: its cost, and how well it matches photos that nothing was trained on.

    python benchmarks/feature_figures.py figures.json --data ../shared/data --feature sift_crbnet
    python benchmarks/feature_figures.py figures.json --data ../shared/data --feature files 'path=peers/xfeat/{}' \\
        pixel_center=0.5 --label XFeat --only mma wxbs
    python benchmarks/feature_figures.py figures.json                       # the rows so far

figures.json collects the rows; what is measured again replaces what was there, but with --missing it is kept. --data
holds hpatches_sequences, wxbs, uofa_day_evening, lund_door and strecha/Herz-Jesu-P25. {} in a setting is such a folder
(minitown_photos, strecha/Herz-Jesu-P25/images, lund_door/images, ...): files made by peer_features.py for each of them.
Set OMP_NUM_THREADS=1 for the CPU seconds of one thread.
"""

import argparse
import json
import pathlib
import time

import torch
from feature_measures import MEASURES, SIZES
from measured_feature import MeasuredFeature

from localize.io.text import write_text

HEADER = [
    "feature",
    *(f"{what}, {size}" for size in SIZES for what in ("keypoints", "CPU s", "kB")),
    "MMA@1 / 3 / 5 (keypoints)",
    "WxBS precision (right)",
    "right place: none / own / 0.8",
    "inliers (30 m off), own",
    "FPR95 own keypoints: real, bits (seen)",
    "FPR95 tracks: real, bits (seen)",
    "bits of own keypoints: ones, flips, correlation",
]
TOLD = """Percent, but for counts. CPU s: of all threads, reading the photo not counted. kB: as the store keeps them.
WxBS: 2,000 keypoints at most, no ratio test. Right place: of evening frames among day frames within 15 m, by inliers
with no ratio test, the feature's own ratio, 0.8. FPR95: at own keypoints that meet under HPatches' homographies
within 2 px; at the tracks of a COLMAP model, described there or by the nearest SIFT keypoint within 2 px. Seen: share
of the keypoints, of the tracks' places. Bits: the share of ones, of bits that differ where FPR95 at own keypoints has
one place, and the mean absolute correlation of two bits."""


def main() -> None:
    args = _arguments()
    rows = json.loads(args.results.read_text()) if args.results.is_file() else {}
    if args.feature:
        torch.set_num_threads(1)
        choice, *settings = args.feature
        feature = MeasuredFeature(choice, tuple(settings), args.data)
        row = rows.setdefault(args.label or " ".join(args.feature), {})
        row["feature"] = args.feature
        for name in [n for n in args.only if not (args.missing and n in row)]:
            start = time.process_time()
            row[name] = MEASURES[name](feature)
            write_text(args.results, json.dumps(rows, indent=1) + "\n")
            print(f"{name} ({time.process_time() - start:.0f} CPU s): {json.dumps(row[name])}", flush=True)
    print(table(rows) + "\n\n" + TOLD)


def table(rows: dict[str, dict]) -> str:
    """In Markdown, - for what was not measured."""
    lines = [HEADER, ["---"] * len(HEADER), *([label, *_cells(row)] for label, row in rows.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(row: dict) -> list[str]:
    cells = []
    for size in SIZES:
        found = row.get("cost", {}).get(size)
        seconds = found and found["cpu_s"]
        cells += [f"{found['keypoints']:.0f}" if found else "-", "-" if seconds is None else f"{seconds:.2f}"]
        cells.append(f"{found['bytes'] / 1000:.0f}" if found else "-")
    how = {"mma": _mma, "wxbs": lambda w: f"{w['precision']:.1f} ({w['correct']:.1f})", "uofa": _uofa}
    for name, said in how.items():
        found = row.get(name)
        cells += ["-"] * (2 if name == "uofa" else 1) if found is None else _list(said(found))
    cells += [_fpr95(row.get(name)) for name in ("planes", "tracks")]
    cells.append(_bits(row.get("planes")))
    return cells


def _mma(found: dict) -> str:
    return " / ".join(f"{found[f'mma_{t}']:.1f}" for t in (1, 3, 5)) + f" ({found['features']:.0f})"


def _uofa(found: dict) -> list[str]:
    own = found["ratios"][found["own_ratio"]]
    places = [found["ratios"][r]["right_place"] for r in ("1", found["own_ratio"], "0.8")]
    return [" / ".join(f"{p:.0f}" for p in places), f"{own['inliers']:.1f} ({own['control_inliers']:.1f})"]


def _fpr95(found: dict | None) -> str:
    if not found:
        return "-"
    said = ", ".join("-" if found[kind] is None else f"{found[kind]:.2f}" for kind in ("real", "bits"))
    return f"{said} ({found['seen']:.0f})"


def _bits(found: dict | None) -> str:
    if not found or "flips" not in found:
        return "-"
    return ", ".join(f"{found[kind]:.3f}" for kind in ("ones", "flips", "correlation"))


def _list(cells: str | list[str]) -> list[str]:
    return [cells] if isinstance(cells, str) else cells


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path, help="the .json file that collects the rows")
    parser.add_argument("--data", type=pathlib.Path, help="the folder of the photos")
    parser.add_argument("--feature", nargs="+", metavar=("CHOICE", "SETTING"), help="as feature=CHOICE feature.SETTING")
    parser.add_argument("--label", help="of the row; without: the feature's own words")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--missing", action="store_true", help="measure only what the row does not have yet")
    args = parser.parse_args()
    if args.feature and not (args.data and args.data.is_dir()):
        parser.error("--data must be the folder of the photos")
    return args


if __name__ == "__main__":
    main()
