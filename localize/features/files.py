"""Local features that somebody else extracted, by the photos' names: hloc's file, a kapture folder, or npz files."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component, problems_of
from localize.io.given.hloc import file_with, read_local_features
from localize.io.given.kapture import kapture_folders, read_kapture_features
from localize.io.given.npz import npz_files, read_npz_features
from localize.types import Features, InputError

FORMATS = ("auto", "hloc", "kapture", "npz")


@dataclass(frozen=True)
class Files:
    """Features of a photo by its name; no pixel is looked at."""

    path: (
        str  # hloc's .h5 file (or its outputs), a kapture folder, or one of <image name>.<ending> in numpy's npz format
    )
    format: str = "auto"  # hloc, kapture or npz; auto: by what path is
    kind: str | None = None  # type of a kapture folder's features, ending of npz files; None: the only one there is
    pixel_center: float = 0.0  # where the files put the centre of the first pixel; COLMAP's keypoints have it at 0.5

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, choices={"format": FORMATS, "pixel_center": (0, 0.5)})

    def preflight(self) -> list[str]:
        """What is missing."""
        return problems_of(self.files)

    def files(self) -> list[str]:
        """Whose content decides the features of every photo; those of one photo are what `photo_files` names."""
        path, format_ = pathlib.Path(self.path), self._format()
        if format_ == "hloc":
            return [self._hloc()]
        if format_ == "kapture":
            headers = [p for folder in kapture_folders(path, self.kind) for p in sorted(folder.glob("*.txt"))]
            return [str(p) for p in headers]
        if not any(path.iterdir()):
            raise InputError(f"{path} is empty: feature.path names it")
        return []

    def photo_files(self, name: str) -> list[str]:
        """Whose content decides the features of this photo alone; none where it has none, which `read` says."""
        format_ = self._format()
        if format_ == "hloc":
            return []
        if format_ == "kapture":
            keypoints, descriptors = kapture_folders(self.path, self.kind)
            found = [keypoints / f"{name}.kpt", descriptors / f"{name}.desc"]
        else:
            found = npz_files(self.path, name, self.kind)
        return [str(p) for p in found if p.is_file()]

    def read(self, name: str, width: int, height: int) -> Features:
        """Features of the photo of this name and size in px; InputError if there are none, or not usable ones."""
        format_ = self._format()
        if format_ == "hloc":
            return read_local_features(self._hloc(), name, width, height, self.pixel_center)
        read = read_kapture_features if format_ == "kapture" else read_npz_features
        return read(self.path, name, width, height, self.kind, self.pixel_center)

    def _hloc(self) -> str:
        return file_with(self.path, "keypoints", "feature.path")

    def _format(self) -> str:
        path = pathlib.Path(self.path)
        if not path.exists():
            raise InputError(f"{'folder' if not path.suffix else 'file'} {path} is missing: feature.path names it")
        found = "hloc" if path.is_file() else "npz"
        if found == "npz" and any((path / part).is_dir() for part in ("reconstruction", "keypoints")):
            found = "kapture"
        if self.format == "auto":
            return found
        if self.format != "hloc" and path.is_file():
            raise InputError(f"{path} is a {'file' if path.is_file() else 'folder'}, so not of format {self.format}")
        return self.format
