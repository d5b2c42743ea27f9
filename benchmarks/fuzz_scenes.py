"""Photos, models and lists that `fuzz.py` harms."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import PIL.Image
from fuzz_kind import CAMERA, NAMES, SIZE, Kind, images, poses, told

from localize.io.images import check_photo, read_photo
from localize.types import Camera, Image, ImageList, InputError, Scene, SourceModel


def _pixels() -> PIL.Image.Image:
    rng = np.random.default_rng(0)
    return PIL.Image.fromarray(rng.integers(0, 255, (SIZE[1] // 4, SIZE[0] // 4, 3), np.uint8)).resize(SIZE)


def photo(ending: str, **saved) -> Kind:
    """A photo, looked at and decoded, and its camera of EXIF."""

    def make(folder):
        if "exif" in saved:
            exif = PIL.Image.Exif()
            exif[0x8769] = {0xA405: 28, 0x920A: 4.5, 0xA002: 96}
            saved["exif"] = exif
        _pixels().save(folder / f"a.{ending}", **saved)
        return folder / f"a.{ending}"

    def read(folder):
        from localize.io.exif import camera_of_photo

        path = folder / f"a.{ending}"
        problem, _ = check_photo(path, CAMERA)
        if problem:
            raise InputError(problem)
        camera = [] if ending == "png" else [camera_of_photo(path)[0].params]
        return [read_photo(path), read_photo(path, grey=True), *camera]

    return Kind(f"photo {ending}", make, read, checksum=ending == "png")


def model() -> SourceModel:
    """Four images of thirty points."""
    rng, placed = np.random.default_rng(0), poses()
    seen = np.concatenate([np.sort(rng.permutation(4)[: rng.integers(2, 5)]) for _ in range(30)])
    starts = np.flatnonzero(np.concatenate([[True], seen[1:] <= seen[:-1]]))[:30]
    indptr = np.append(starts, len(seen))
    return SourceModel(
        NAMES, np.full(4, 80.0), np.zeros(4), np.array([p.rotation for p in placed]),
        np.array([p.translation for p in placed]), rng.normal(size=(len(starts), 3)), indptr, seen.astype(np.int32),
        np.arange(len(seen), dtype=np.int32), rng.uniform(0, 60, (len(seen), 2)).astype(np.float32),
    )  # fmt: skip


def _plain(found: SourceModel) -> list:
    fields = [getattr(found, f.name) for f in dataclasses.fields(found)]
    return [[c.params for c in f] if isinstance(f, tuple) and f and isinstance(f[0], Camera) else f for f in fields]


def colmap(stem: str, ending: str) -> Kind:
    """One of a COLMAP model's three files."""

    def make(folder):
        from localize.geometry.colmap import pycolmap
        from localize.geometry.poses import qvec_from_rotation

        m = folder / "model"
        m.mkdir(exist_ok=True)
        lines = {"cameras": ["1 OPENCV 96 64 " + " ".join(map(str, CAMERA.params))], "images": [], "points3D": []}
        seen = [[] for _ in NAMES]
        for p, xyz in enumerate(model().points):
            track = [f"{i + 1} {len(seen[i])}" for i in range(4) if (p + i) % 3]
            for i in range(4):
                if (p + i) % 3:
                    seen[i].append(f"{p + i + 0.5} {p * 2 + 0.25} {p + 1}")
            lines["points3D"].append(f"{p + 1} {' '.join(map(repr, xyz.tolist()))} 0 0 0 0.5 {' '.join(track)}")
        for i, pose in enumerate(poses()):
            numbers = [*qvec_from_rotation(pose.rotation).tolist(), *pose.translation.tolist()]
            lines["images"] += [f"{i + 1} {' '.join(map(repr, numbers))} 1 {NAMES[i]}", " ".join(seen[i])]
        for name, rows in lines.items():
            (m / f"{name}.txt").write_text("\n".join(rows) + "\n")
        if ending == "bin":
            for path in m.glob("*.bin"):
                path.unlink()
            pycolmap.Reconstruction(str(m)).write_binary(str(m))
            for path in m.glob("*.txt"):
                path.unlink()
        return m / f"{stem}.{ending}"

    def read(folder):
        from localize.io.models.colmap import read_colmap_images, read_colmap_model

        _with_cameras(told(read_colmap_images, folder / "model"))
        return _plain(told(read_colmap_model, folder / "model"))

    return Kind(f"colmap {stem}.{ending}", make, read, text=ending == "txt")


def _make_nvm(folder):
    from localize.io.models.nvm import write_nvm

    write_nvm(folder / "a.nvm", model())
    return folder / "a.nvm"


def _read_nvm(folder):
    from localize.io.models.nvm import read_nvm

    return _plain(told(read_nvm, folder / "a.nvm"))


def _make_database(folder):
    from localize.io.models.colmap_database import write_colmap_database

    (folder / "a.db").unlink(missing_ok=True)
    rng = np.random.default_rng(0)
    keypoints = {n: rng.uniform(0, 60, (20, 4)).astype(np.float32) for n in NAMES}
    write_colmap_database(folder / "a.db", images(), keypoints, {n: np.full((20, 128), 9, np.uint8) for n in NAMES})
    return folder / "a.db"


def _read_database(folder):
    from localize.io.models.colmap_database import ColmapDatabase

    database = ColmapDatabase(folder / "a.db")
    return [database.names, *(database.keypoints(n) for n in NAMES)]


def _with_cameras(images):
    """The images, whose intrinsics a dataset asks next."""
    from localize.geometry.intrinsics import cameras_of

    impossible = [said for _, said, _ in cameras_of(images).values() if said]
    if impossible:
        raise InputError(*impossible)
    return images


def text(name: str, lines: Callable[[], list[str]], read: Callable[[pathlib.Path], object]) -> Kind:
    """A file of lines."""

    def make(folder):
        (folder / "a.txt").write_text("".join(line + "\n" for line in lines()))
        return folder / "a.txt"

    return Kind(name, make, lambda folder: read(folder / "a.txt"), text=True)


def _query_lines() -> list[str]:
    knows = ("", " gravity=0,1,0.1", " position=1,2,3 radius=5", " focal=guessed")
    return [f"{n} OPENCV 96 64 {' '.join(map(str, CAMERA.params))}{k}" for n, k in zip(NAMES, knows, strict=True)]


def _read_queries(path):
    from localize.io.text import read_query_list

    def of(prior):
        return [] if prior is None else [repr(prior)]

    return [
        (q.name, q.camera.params, [q.camera.width], of(q.prior)) for q in _with_cameras(told(read_query_list, path))
    ]


def _pose_lines(before: Callable[[int], str] = lambda i: "") -> list[str]:
    from localize.geometry.poses import qvec_from_rotation

    numbers = [[*qvec_from_rotation(p.rotation).tolist(), *p.translation.tolist()] for p in poses()]
    return [f"{before(i)}{NAMES[i]} {' '.join(map(repr, row))}" for i, row in enumerate(numbers)]


def _read_poses(path):
    from localize.io.text import read_poses

    return {n: [p.rotation, p.translation] for n, p in told(read_poses, path).items()}


def _read_rigs(path):
    from localize.io.names import Names
    from localize.io.rigs import read_rigs

    found = told(lambda p, problems: read_rigs(p, problems, Names(NAMES)), path)
    return {n: [m.group, m.cam_from_rig.rotation, m.cam_from_rig.translation] for n, m in found.items()}


def _read_pairs(path):
    from localize.retrieval.pairs import Pairs

    queries = ImageList(Image(f"q/{i}.jpg", CAMERA) for i in range(4))
    pairs = Pairs(str(path))
    problems = pairs.check_scene(Scene("s", ".", images(), queries))
    if problems:
        raise InputError(*problems)
    return pairs.ranking(queries, images(), 4).ranked


SCENES = (
    photo("jpg", exif=True), photo("png"), photo("tif", compression="tiff_deflate"), photo("webp", exif=True),
    *(colmap(stem, ending) for ending in ("txt", "bin") for stem in ("cameras", "images", "points3D")),
    Kind("nvm", _make_nvm, _read_nvm, text=True), Kind("colmap database", _make_database, _read_database),
    text("query list", _query_lines, _read_queries), text("poses", _pose_lines, _read_poses),
    text("pairs", lambda: [f"q/{i}.jpg {NAMES[(i + k) % 4]}" for i in range(4) for k in range(3)], _read_pairs),
    text("rigs", lambda: _pose_lines(lambda i: f"g{i // 2} "), _read_rigs),
)  # fmt: skip
