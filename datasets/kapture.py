"""Photos in kapture folders, as kapture-localization has them: mapping/ with poses, and query/."""

import dataclasses
import logging
import pathlib
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

from localize.datasets.shared.checks import existing_folder, refuse_photos
from localize.datasets.shared.own_photos import WithUnit
from localize.datasets.shared.same_photos import warn_of_copies
from localize.io.exif import camera_of_photo
from localize.io.models.kapture import is_kapture, read_kapture_images, records_folder
from localize.types import Image, ImageList, InputError, Scene, collecting

log = logging.getLogger(__name__)
EXPECTED = "a kapture folder, with sensors/sensors.txt, or one with the kapture folders mapping and query"


@dataclass(frozen=True)
class Kapture(WithUnit):
    """References are the photos of `mapping` that have poses, queries all of `query`; their poses are the truth."""

    root: str  # folder of mapping/ and query/; or one kapture folder, for dataset.holdout
    mapping: str = "mapping"  # the folder of the references below root
    query: str = "query"  # the folder of the queries
    use_rigs: bool = True  # queries of one rig and time are solved together
    name: str = field(default="kapture", kw_only=True)

    VERSION: ClassVar[int] = 1

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        problems, references, queries = [], [], []
        root = existing_folder(self.root, "dataset.root", EXPECTED, problems)
        mapping = root if is_kapture(root) and not is_kapture(root / self.mapping) else root / self.mapping
        query = root / self.query if is_kapture(root / self.query) else None
        if root.is_dir() and not is_kapture(mapping):
            problems.append(f"{root} is no kapture folder: dataset.root must be {EXPECTED}")
        if problems:
            raise InputError(*problems)
        with collecting(problems):
            references = self._references(mapping, problems)
        if query is not None:
            photos = records_folder(query)
            with collecting(problems):
                queries = read_kapture_images(query, problems, lambda name: camera_of_photo(photos / name))
        query_root = records_folder(query or mapping)
        asked = _asked(queries, self.use_rigs)
        refuse_photos(records_folder(mapping), references, query_root, asked, problems)
        warn_of_copies(records_folder(mapping), references, query_root, asked)
        truth = [Image(q.name, q.camera, q.pose) for q in queries if q.pose is not None]
        return Scene(
            name=self.name,
            image_root=str(records_folder(mapping)),
            query_root=str(query_root),
            references=ImageList(references),
            queries=ImageList(asked),
            ground_truth=ImageList(truth) if truth else None,
            **self.in_unit(),
        )

    def _references(self, folder: pathlib.Path, problems: list[str]) -> list[Image]:
        found = read_kapture_images(folder, problems)
        posed = [dataclasses.replace(image, mounted=None) for image in found if image.pose is not None]
        if not posed and not problems:
            problems.append(f"{folder / 'sensors' / 'trajectories.txt'} gives no photo a pose: references need poses")
        elif len(posed) < len(found):
            log.info("%d photos of %s have no pose, so they are no references", len(found) - len(posed), folder)
        return posed


def _asked(queries: list[Image], use_rigs: bool) -> list[Image]:
    """The queries without their poses, and on a rig where others of the same time are too."""
    sizes = Counter(query.mounted.group for query in queries if query.mounted is not None)
    together = {group for group, size in sizes.items() if size > 1 and use_rigs}
    return [
        dataclasses.replace(q, pose=None, mounted=q.mounted if q.mounted and q.mounted.group in together else None)
        for q in queries
    ]
