"""Check a submission file before it goes to a benchmark's server: every line that is wrong is named."""

import pathlib

from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table
from localize.io.benchmarks.submission import read_submission
from localize.types import InputError

SHOWN = 5  # missing queries that are named one by one


def run(dataset, *, file: str) -> str:
    """What the file holds, in words; InputError with one sentence for each line that is wrong."""
    scene = dataset.load()
    if scene.submission is None:
        raise InputError(f"{scene.name} has no server to submit to")
    path = pathlib.Path(str(file))
    poses, problems = read_submission(path, scene)
    wanted = pathlib.PurePath(scene.submission.file_name).name
    if not path.match(wanted.format(method="*")):
        problems.append(f"{path.name}: the server wants a file name such as {wanted.format(method='mymethod')}")
    if problems:
        raise InputError(*problems)
    missing = [name for name in scene.submission.names if name not in poses]
    lines = [f"{path} is valid: {len(poses)} of {len(scene.submission.names)} queries have a pose."]
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        lines.append(f"{len(missing)} have none and count as not localized: {shown}")
    if scene.ground_truth is not None:
        lines += ["", recall_table(evaluate_poses(poses, scene))]
    return "\n".join(lines)
