"""Submission files of the benchmarks' servers (visuallocalization.net): written, and checked before they are sent."""

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.geometry.poses import rotation_from_qvec
from localize.io.text import read_lines, read_text, write_poses
from localize.types import ImageList, InputError, Pose, Retrieval, Scene


@dataclass(frozen=True)
class SubmissionFile:
    """What of a run is submitted. A failed query is left out, which the server counts as not localized."""

    method: str = "localize"  # stands in the file's name
    fallback: str | None = None  # top_frame: a failed query takes the pose of its most similar reference

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, choices={"fallback": (None, "top_frame")})
        if not self.method or set(self.method) & set("/\\ "):
            raise InputError(f"submission.method is {self.method!r}, but names a file: no blanks, no slashes")

    def poses(
        self, scene: Scene, found: Mapping[str, Pose], frames: Retrieval | None, references: ImageList
    ) -> tuple[dict[str, Pose], list[str]]:
        """Poses by the name the server knows, in the order of the queries, and the queries that took a fallback."""
        submitted, fallen_back = {}, []
        row = {name: i for i, name in enumerate(frames.query_names)} if frames is not None else {}
        for name, server_name in scene.submission.names.items():
            pose = found.get(name)
            if pose is None and self.fallback and name in row:
                best = frames.ranked[row[name], 0] if frames.ranked.shape[1] else -1
                if best >= 0:
                    pose = references.by_name[frames.reference_names[best]].pose
                    fallen_back.append(name)
            if pose is not None:
                submitted[server_name] = pose
        return submitted, fallen_back

    def write(self, folder: pathlib.Path, scene: Scene, poses: Mapping[str, Pose]) -> pathlib.Path:
        """Write the file into the folder, named as the server wants it."""
        path = folder / scene.submission.file_name.format(method=self.method)
        write_poses(path, poses)
        return path


def read_submission(path: pathlib.Path, scene: Scene) -> tuple[dict[str, Pose], list[str]]:
    """Poses by query name, and one sentence for every line the server would refuse or misjudge."""
    of_server_name = {server: name for name, server in scene.submission.names.items()}
    centers = np.array([image.pose.center for image in scene.references])
    low, high = centers.min(0), centers.max(0)
    poses, problems, seen = {}, _foreign_text(path), {}
    lines = list(read_lines(path))
    if not any(fields[0] in of_server_name or fields[0] in scene.queries.by_name for _, fields in lines):
        such = f": {lines[0][1][0]} is not such as {next(iter(of_server_name))}" if lines else ""
        return {}, [f"{path}: none of its {len(lines)} lines names a query of {scene.name}{such}"]
    for number, fields in lines:
        where = f"{path}:{number}"
        name = fields[0]
        if name in seen:
            problems.append(f"{where}: {name} was given before, in line {seen[name]}: keep one of the two")
            continue
        seen[name] = number
        if name not in of_server_name:
            problems.append(f"{where}: {_unknown(name, scene)}")
            continue
        try:
            pose = _pose(fields[1:])
        except ValueError as e:
            problems.append(f"{where}: {name}: {e}")
            continue
        outside_m = np.linalg.norm(np.maximum(0, np.maximum(low - pose.center, pose.center - high)))
        if outside_m > np.linalg.norm(high - low):
            at = ", ".join(f"{c:.1f}" for c in pose.center)
            problems.append(
                f"{where}: {name}: the camera is at ({at}), {outside_m:.0f} m outside the references' positions: "
                "a pose is world to camera, X_cam = R X_world + t, not the camera's position"
            )
        poses[of_server_name[name]] = pose
    return poses, problems


def _foreign_text(path: pathlib.Path) -> list[str]:
    """What our reading forgives, and a server may not."""
    text, problems = read_text(path), []
    for what, found in (("Windows line ends", b"\r" in path.read_bytes()), ("tabs", "\t" in text)):
        if found:
            problems.append(f"{path}: it has {what}: end lines by a line feed, separate fields by one blank")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            problems.append(
                f"{path}:{number}: no pose, but {'a comment' if line.strip() else 'a blank line'}: remove it"
            )
    return problems


def _pose(fields: list[str]) -> Pose:
    """Pose of the seven numbers; ValueError says what is wrong with them."""
    if len(fields) != 7:
        raise ValueError(f"{len(fields) + 1} fields, but expected 8: name qw qx qy qz tx ty tz")
    values = np.array(fields, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite numbers: leave a failed query out")
    norm = np.linalg.norm(values[:4])
    if abs(norm - 1) > 1e-3:  # servers are stricter than we are
        raise ValueError(f"the quaternion's length is {norm:.6g}, but must be 1")
    if (values == [1, 0, 0, 0, 0, 0, 0]).all():
        raise ValueError("the pose is the identity, which marks a failure in some tools: leave a failed query out")
    return Pose(rotation_from_qvec(values[:4]), values[4:])


def _unknown(name: str, scene: Scene) -> str:
    """What a name that the server does not know may have been meant for."""
    names = scene.submission.names
    if name in names:
        return f"{name} must be written as {names[name]}"
    if name in scene.queries.by_name:
        return f"{name} is not scored: leave it out"
    base = name.rpartition("/")[2]
    stem = base.rpartition(".")[0]
    meant = [s for s in names.values() if s.rpartition("/")[2].rpartition(".")[0] in (stem, base)]
    if meant:
        return f"{name} must be written as {meant[0]}"
    return f"{name} is no query of {scene.name}"
