"""Your own photos without a model: a folder of references, whose poses structure from motion finds, and queries."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass, field
from typing import ClassVar

from localize.components import check_component
from localize.datasets.shared.checks import check_cameras, check_photos, check_query_names, existing_folder
from localize.datasets.shared.own_photos import WithUnit, as_on_disk
from localize.datasets.shared.same_photos import warn_of_copies
from localize.io.exif import photo_facts
from localize.io.images import list_photos
from localize.io.names import PhotoNames
from localize.io.text import read_query_list
from localize.types import Camera, Image, ImageList, InputError, Scene, Unposed, collecting, repeated_names

log = logging.getLogger(__name__)
MODELS = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
SHARED = ("auto", "one", "each")


@dataclass(frozen=True)
class Photos(WithUnit):
    """Folders of photos. Cameras come from EXIF, or are found with the poses."""

    references: str
    queries: str | None = None  # folder, or a list as dataset=colmap takes it; null: none
    cameras: str = "auto"  # auto: photos of one device, zoom and size share one; one: all do; each: none do
    camera_model: str = "SIMPLE_RADIAL"
    distance: list | tuple | None = None  # two references and how far apart their cameras were, in `unit`
    gps: bool = True  # take scale, north and up from the photos' GPS where it says enough
    name: str = field(default="photos", kw_only=True)

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        check_component(self, choices={"cameras": SHARED, "camera_model": MODELS})
        problems = []
        if self.distance is not None:
            d = self.distance
            if len(d) != 3 or not all(isinstance(n, str) for n in d[:2]) or not isinstance(d[2], int | float):
                problems.append(f"dataset.distance is {list(d)}, but must be [FIRST.jpg, SECOND.jpg, LENGTH]")
            elif not d[2] > 0:
                problems.append(f"dataset.distance says {d[2]} between two cameras, but must be greater than 0")
        if self.unit is not None and self.distance is None:
            problems.append(
                f"dataset.unit={self.unit} says in what dataset.distance is: give both, as in "
                "dataset.distance=[a.jpg,b.jpg,2.5] dataset.unit=m"
            )
        if problems:
            raise InputError(*problems)

    def load(self) -> Scene:
        """See `Dataset.load`."""
        found = super().load()
        for name in self.distance[:2] if self.distance is not None else ():
            if name in found.queries.by_name:
                raise InputError(
                    f"dataset.distance names {name}, which dataset.holdout makes a query: name another one"
                )
        return found

    def scene(self) -> Scene:
        """The scene, whose references have no poses yet; InputError with all problems if a photo cannot be used."""
        problems, queries, query_root, inside = [], [], None, ""
        root = existing_folder(self.references, "dataset.references", "the folder of the reference photos", problems)
        if self.queries is not None:
            query_root = pathlib.Path(self.queries).expanduser().absolute()
            if query_root == root:
                problems.append(
                    f"dataset.queries and dataset.references are the same folder {root}: name two, or a list of "
                    "queries, or dataset.holdout=8"
                )
            elif query_root.is_dir():
                queries = self._photos(query_root, list_photos(query_root), problems)
                inside = f"{query_root.relative_to(root)}/" if query_root.is_relative_to(root) else ""
            else:
                with collecting(problems):
                    queries = self._listed(query_root, root, problems)
                query_root = root
        asked = {query.name for query in queries} if query_root == root else set()
        names = [n for n in (list_photos(root) if root.is_dir() else []) if n not in asked]
        names = [n for n in names if not (inside not in ("", "./") and n.startswith(inside))]
        references = self._photos(root, names, problems)
        if root.is_dir() and not names:
            problems.append(f"folder {root} holds no photos: dataset.references must be the folder of the references")
        if query_root not in (None, root) and not queries and not problems:
            problems.append(f"folder {query_root} holds no photos: dataset.queries must be the folder of the queries")
        self._check_distance(names, problems)
        check_query_names(queries, problems)
        check_cameras([], queries, problems)
        if problems:
            raise InputError(*problems)
        if query_root is not None:
            warn_of_copies(root, references, query_root, queries)
        self._tell(references)
        return Scene(
            name=self.name,
            image_root=str(root),
            query_root=None if query_root is None else str(query_root),
            references=ImageList(references),
            queries=ImageList(queries),
            **self.in_unit(),
            unposed=Unposed(
                None if self.distance is None else tuple(self.distance),
                self.gps,
                percent=Unposed.percent if self.thresholds is None else self.thresholds,
            ),
        )

    def _photos(self, root: pathlib.Path, names: list[str], problems: list[str]) -> list[Image]:
        """The photos with the cameras that EXIF knows; one that cannot be opened is a problem."""
        found = []
        for name in names:
            with collecting(problems):
                camera, prior, taken = photo_facts(root / name)
                size = f"{camera.width}x{camera.height}"
                device = {"auto": taken.device, "one": f"the camera {size}", "each": f"{root.name}/{name}"}
                camera = with_model(camera, self.camera_model)
                found.append(
                    Image(name, camera, prior=prior, taken=dataclasses.replace(taken, device=device[self.cameras]))
                )
        return found

    def _listed(self, path: pathlib.Path, root: pathlib.Path, problems: list[str]) -> list[Image]:
        """The queries of a list, whose photos lie among the references."""
        if not path.is_file():
            problems.append(f"{path} is missing: dataset.queries must be the folder of the queries, or a list of them")
            return []
        photos = PhotoNames(root)
        facts = {}

        def camera_of(name: str):
            facts[name] = photo_facts(root / (photos.find(name) or name))
            return facts[name][:2]

        listed = read_query_list(path, problems, camera_of=camera_of, names=photos)
        problems += [f"{path}: {p}" for p in repeated_names(query.name for query in listed)]
        known = [dataclasses.replace(q, taken=facts[q.name][2] if q.name in facts else None) for q in listed]
        queries = as_on_disk(known, photos)[0]
        check_photos(root, queries, problems)
        return queries

    def _check_distance(self, names: list[str], problems: list[str]) -> None:
        for name in self.distance[:2] if self.distance is not None else ():
            if name not in names:
                problems.append(f"dataset.distance names {name}, but there is no such photo among the references")
        if self.distance is not None and self.distance[0] == self.distance[1]:
            problems.append(f"dataset.distance names {self.distance[0]} twice: name two photos")

    def _tell(self, references: list[Image]) -> None:
        devices = {image.taken.device for image in references}
        known = sum(image.prior.focal == "guessed" for image in references)
        located = sum(image.taken.position is not None for image in references)
        log.info(
            "%d photos of %d cameras; EXIF tells the focal length of %d and the position (GPS) of %d",
            *(len(references), len(devices), known, located),
        )


def with_model(camera: Camera, model: str) -> Camera:
    """A SIMPLE_RADIAL camera without distortion in another model."""
    f, cx, cy = camera.params[0], *camera.params[1:3]
    params = {"SIMPLE_PINHOLE": [f, cx, cy], "RADIAL": [f, cx, cy, 0, 0], "OPENCV": [f, f, cx, cy, 0, 0, 0, 0]}
    return Camera(model, camera.width, camera.height, params[model]) if model in params else camera
