"""The kinds of files that `fuzz.py` harms: for each, how a whole one is made, and how the program reads it."""

import dataclasses
import gzip
import pathlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
import PIL.Image

from localize.io.images import check_photo, read_photo
from localize.types import Camera, Image, ImageList, InputError, PairMatches, PointRows, Pose, Scene, SourceModel

SIZE = 96, 64
CAMERA = Camera("OPENCV", *SIZE, [80.0, 80.5, 48.0, 32.0, 0.01, 0.002, 0.0, 0.0])
NAMES = tuple(f"db/{i}.jpg" for i in range(4))


@dataclass(frozen=True)
class Kind:
    """make(folder) writes whole files and returns the one that is harmed; read(folder) is what the program makes of it.

    checksum: whether the format has one, so that any other result could have been seen.
    """

    name: str
    make: Callable[[pathlib.Path], pathlib.Path]
    read: Callable[[pathlib.Path], object]
    text: bool = False
    checksum: bool = False


def _poses() -> list[Pose]:
    from localize.geometry.poses import rotation_from_qvec

    rng = np.random.default_rng(0)
    return [Pose(rotation_from_qvec(rng.normal(size=4)), rng.normal(size=3)) for _ in NAMES]


def _images() -> ImageList:
    return ImageList(Image(n, CAMERA, p) for n, p in zip(NAMES, _poses(), strict=True))


def _told(read, *arguments):
    """What a reader makes, or an InputError of the problems that it lists."""
    problems: list[str] = []
    found = read(*arguments, problems)
    if problems:
        raise InputError(*problems)
    return found


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
    rng, poses = np.random.default_rng(0), _poses()
    seen = np.concatenate([np.sort(rng.permutation(4)[: rng.integers(2, 5)]) for _ in range(30)])
    starts = np.flatnonzero(np.concatenate([[True], seen[1:] <= seen[:-1]]))[:30]
    indptr = np.append(starts, len(seen))
    return SourceModel(
        NAMES, np.full(4, 80.0), np.zeros(4), np.array([p.rotation for p in poses]),
        np.array([p.translation for p in poses]), rng.normal(size=(len(starts), 3)), indptr, seen.astype(np.int32),
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
        for i, pose in enumerate(_poses()):
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

        _with_cameras(_told(read_colmap_images, folder / "model"))
        return _plain(_told(read_colmap_model, folder / "model"))

    return Kind(f"colmap {stem}.{ending}", make, read, text=ending == "txt")


def _make_nvm(folder):
    from localize.io.models.nvm import write_nvm

    write_nvm(folder / "a.nvm", model())
    return folder / "a.nvm"


def _read_nvm(folder):
    from localize.io.models.nvm import read_nvm

    return _plain(_told(read_nvm, folder / "a.nvm"))


def _make_database(folder):
    from localize.io.models.colmap_database import write_colmap_database

    (folder / "a.db").unlink(missing_ok=True)
    rng = np.random.default_rng(0)
    keypoints = {n: rng.uniform(0, 60, (20, 4)).astype(np.float32) for n in NAMES}
    write_colmap_database(folder / "a.db", _images(), keypoints, {n: np.full((20, 128), 9, np.uint8) for n in NAMES})
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
        (q.name, q.camera.params, [q.camera.width], of(q.prior)) for q in _with_cameras(_told(read_query_list, path))
    ]


def _pose_lines(before: Callable[[int], str] = lambda i: "") -> list[str]:
    from localize.geometry.poses import qvec_from_rotation

    numbers = [[*qvec_from_rotation(p.rotation).tolist(), *p.translation.tolist()] for p in _poses()]
    return [f"{before(i)}{NAMES[i]} {' '.join(map(repr, row))}" for i, row in enumerate(numbers)]


def _read_poses(path):
    from localize.io.text import read_poses

    return {n: [p.rotation, p.translation] for n, p in _told(read_poses, path).items()}


def _read_rigs(path):
    from localize.io.names import Names
    from localize.io.rigs import read_rigs

    found = _told(lambda p, problems: read_rigs(p, problems, Names(NAMES)), path)
    return {n: [m.group, m.cam_from_rig.rotation, m.cam_from_rig.translation] for n, m in found.items()}


def _read_pairs(path):
    from localize.retrieval.pairs import Pairs

    queries = ImageList(Image(f"q/{i}.jpg", CAMERA) for i in range(4))
    pairs = Pairs(str(path))
    problems = pairs.check_scene(Scene("s", ".", _images(), queries))
    if problems:
        raise InputError(*problems)
    return pairs.ranking(queries, _images(), 4).ranked


def _features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    d = rng.normal(size=(40, 16)).astype(np.float32)
    return rng.uniform(0, 60, (40, 2)).astype(np.float32), d / np.linalg.norm(d, axis=1, keepdims=True)


def _arrays(features) -> list:
    return [features.keypoints, features.descriptors, features.scores]


def _make_npz(folder):
    xy, d = _features()
    np.savez_compressed(folder / "a.jpg.npz", keypoints=xy, descriptors=d, scores=np.ones(40))
    return folder / "a.jpg.npz"


def _read_npz(folder):
    from localize.io.given.npz import read_npz_features

    return _arrays(read_npz_features(folder, "a.jpg", *SIZE))


def _make_hloc(folder):
    xy, d = _features()
    with h5py.File(folder / "a.h5", "w") as f:
        for name in NAMES[:2]:
            group = f.create_group(name)
            group["keypoints"], group["descriptors"], group["scores"] = xy, d.T, np.ones(40)
            group["image_size"], group["global_descriptor"] = SIZE, d[0]
    return folder / "a.h5"


def _read_hloc(folder):
    from localize.io.given.hloc import read_global_descriptor, read_local_features

    path = folder / "a.h5"
    return [[*_arrays(read_local_features(path, n, *SIZE)), read_global_descriptor(path, n)] for n in NAMES[:2]]


def kapture(harmed: str) -> Kind:
    """One of the files of a kapture folder."""

    def make(folder):
        xy, d = _features()
        for what, ending, rows in (("keypoints", "kpt", xy), ("descriptors", "desc", d)):
            inner = folder / "reconstruction" / what / "sift"
            inner.mkdir(parents=True, exist_ok=True)
            (inner / f"{what}.txt").write_text(f"# kapture format: 1.1\nsift, float32, {rows.shape[1]}, sift, L2\n")
            (inner / f"a.jpg.{ending}").write_bytes(rows.tobytes())
        return folder / "reconstruction" / harmed

    def read(folder):
        from localize.io.given.kapture import read_kapture_features

        return _arrays(read_kapture_features(folder, "a.jpg", *SIZE))

    return Kind(f"kapture {pathlib.PurePath(harmed).suffix}", make, read, text=harmed.endswith("txt"))


def _network():
    import torch

    from localize.networks.patches import TFeat

    torch.manual_seed(0)
    return TFeat()


def _make_pth(folder):
    import torch

    torch.save(_network().state_dict(), folder / "a.params")
    return folder / "a.params"


def _read_pth(folder):
    from localize.weights.patches import load_tfeat

    return {n: t.numpy() for n, t in load_tfeat(folder / "a.params").state_dict().items()}


def _make_safetensors(folder):
    from localize.weights.shipped import FOLDER

    return pathlib.Path(shutil.copy(FOLDER / "crbnet256_lite.safetensors", folder / "a.safetensors"))


def _read_safetensors(folder):
    from localize.weights.patches import load_weights

    network, metadata = load_weights(folder / "a.safetensors")
    return [metadata, {n: t.detach().numpy() for n, t in network.state_dict().items()}]


def _make_whitening(folder):
    from localize.weights.whitening import write_whitening

    rng = np.random.default_rng(0)
    write_whitening(folder / "w.safetensors", rng.normal(size=8), rng.normal(size=(4, 8)), "{}")
    return folder / "w.safetensors"


def _read_whitening(folder):
    from localize.weights.whitening import read_whitening

    return read_whitening(folder / "w.safetensors")


def _make_mat(folder, packed=True):
    import scipy.io

    layer = {"weights": np.empty(2, object), "type": "conv"}
    layer["weights"][:] = [np.random.default_rng(0).normal(size=(3, 3, 3, 8)), np.zeros(8)]
    layers = np.empty(3, object)
    layers[:] = [layer] * 3
    net = {"layers": layers, "meta": {"normalization": {"averageImage": np.zeros((1, 1, 3))}}}
    scipy.io.savemat(folder / "a.mat", {"net": net}, do_compression=packed)
    return folder / "a.mat"


def _read_mat(folder):
    from localize.weights.netvlad import load_netvlad

    load_netvlad(folder / "a.mat")


def rows() -> PointRows:
    """Descriptors of eighty points in four images."""
    rng = np.random.default_rng(0)
    point = np.repeat(np.arange(80, dtype=np.int32), 3)
    d = rng.normal(size=(80, 32))[point] + 0.2 * rng.normal(size=(240, 32))
    d = (d / np.linalg.norm(d, axis=1, keepdims=True)).astype(np.float16)
    order = np.argsort(rng.integers(4, size=240), kind="stable")
    return PointRows(rng.normal(size=(80, 3)), d[order], point[order], np.array([0, 60, 120, 180, 240]))


def saved_map(harmed: str, index: str = "random") -> Kind:
    """One of the files of a map's folder, which is opened, and its index asked."""

    def make(folder):
        from localize import Localizer
        from localize.features.sift import Sift
        from localize.index.literal_trees import LiteralTrees
        from localize.index.random_trees import RandomTrees
        from localize.retrieval.vlad import Codebook, Vlad
        from localize.roles import Components
        from localize.stages import BuiltIndex, BuiltRanking

        if not (folder / "whole").is_dir():
            trees = LiteralTrees(num_trees=2) if index == "literal" else RandomTrees(num_trees=2, leaf_size=16)
            use, rng = Components(feature=Sift(), retrieval=Vlad(num_words=4), index=trees), np.random.default_rng(0)
            Localizer(
                use, references=_images(), rows=rows(), index=BuiltIndex(trees, trees.build(rows()), ""),
                ranking=BuiltRanking(use.ranking), learned=Codebook(rng.normal(size=(4, 32)).astype(np.float32)),
                vectors=rng.normal(size=(4, 128)).astype(np.float32),
            ).save(folder / "whole")  # fmt: skip
        shutil.rmtree(folder / "map", ignore_errors=True)
        shutil.copytree(folder / "whole", folder / "map")
        return folder / "map" / harmed

    def read(folder):
        from localize import Localizer

        found = Localizer.load(folder / "map")
        asked = found.index.nearest(found.rows, np.asarray(rows().descriptors[:50], np.float32))
        poses = [[i.name, i.pose.rotation, i.pose.translation, i.camera.params] for i in found.references]
        used = repr(found.use)
        return [asked.point, asked.similarity, asked.second, *vars(found.rows).values(), found.vectors, poses, used,
                found.learned.centers]  # fmt: skip

    return Kind(f"map {harmed}", make, read, text=harmed.endswith("json"), checksum=True)


def _store(folder):
    from localize.store import Store

    return Store(folder / "store")


def _matches() -> PairMatches:
    return PairMatches(np.arange(600, dtype=np.int32).reshape(-1, 2))


def artifact(harmed: str) -> Kind:
    """A file of an artifact, which is computed again where it is damaged."""

    def make(folder):
        shutil.rmtree(folder / "store", ignore_errors=True)
        _, key, _ = _store(folder).artifact("map", {"x": 1}, _matches)
        return folder / "store" / "map" / key / harmed

    def read(folder):
        return _store(folder).artifact("map", {"x": 1}, _matches)[0].rows

    return Kind(f"store {harmed}", make, read, text=harmed.endswith("json"), checksum=True)


def _make_shard(folder):
    shutil.rmtree(folder / "store", ignore_errors=True)
    shelf = _store(folder).shelf("pairs", {"x": 1})
    shelf.fill(iter([(f"{i}", _matches(), 0.1) for i in range(3)]))
    return next(shelf.folder.glob("*.h5"))


def _read_shard(folder):
    shelf = _store(folder).shelf("pairs", {"x": 1})
    for i in range(3):
        if f"{i}" not in shelf:
            shelf.fill(iter([(f"{i}", _matches(), 0.1)]))
    return [shelf.get(f"{i}").rows for i in range(3)]


def archive(ending: str) -> Kind:
    """An archive, unpacked anew."""

    def make(folder):
        path, content = folder / f"a.{ending}", np.random.default_rng(0).bytes(3000) + b"abc" * 3000
        if ending == "zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
                for i in range(3):
                    z.writestr(f"p/{i}.jpg", content)
        elif ending == "gz":
            path.write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / "file").write_bytes(content)
            with tarfile.open(path, "w:gz" if ending == "tar.gz" else "w") as t:
                for i in range(3):
                    t.add(folder / "file", f"p/{i}.jpg")
        return path

    def read(folder):
        from localize.io.fetching.unpack import unpack

        for path in [*folder.glob("*.unpack*"), folder / "out"]:
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        return {n: (folder / "out" / n).read_bytes() for n in unpack(folder / f"a.{ending}", folder / "out")}

    return Kind(f"archive {ending}", make, read, checksum=ending != "tar")


KINDS = (
    photo("jpg", exif=True), photo("png"), photo("tif", compression="tiff_deflate"), photo("webp", exif=True),
    *(colmap(stem, ending) for ending in ("txt", "bin") for stem in ("cameras", "images", "points3D")),
    Kind("nvm", _make_nvm, _read_nvm, text=True), Kind("colmap database", _make_database, _read_database),
    text("query list", _query_lines, _read_queries), text("poses", _pose_lines, _read_poses),
    text("pairs", lambda: [f"q/{i}.jpg {NAMES[(i + k) % 4]}" for i in range(4) for k in range(3)], _read_pairs),
    text("rigs", lambda: _pose_lines(lambda i: f"g{i // 2} "), _read_rigs),
    Kind("features npz", _make_npz, _read_npz, checksum=True), Kind("features hloc", _make_hloc, _read_hloc),
    *(kapture(f"{what}/sift/{name}") for what, name in (
        ("keypoints", "keypoints.txt"), ("keypoints", "a.jpg.kpt"), ("descriptors", "a.jpg.desc"))),
    Kind("weights safetensors", _make_safetensors, _read_safetensors),
    Kind("weights whitening", _make_whitening, _read_whitening), Kind("weights pth", _make_pth, _read_pth),
    Kind("weights mat packed", _make_mat, _read_mat),
    Kind("weights mat", lambda folder: _make_mat(folder, False), _read_mat),
    *map(saved_map, ("localizer.json", "rows/record.json", "references/record.json", "rows/point.npy",
                     "rows/image_indptr.npy", "rows/points.npy", "vectors.npy", "index/nodes.npy",
                     "index/block_items.npy", "index/first_block.npy", "index/record.json")),
    saved_map("index/left.npy", "literal"), saved_map("index/order.npy", "literal"),
    artifact("rows.npy"), artifact("record.json"), Kind("store shard", _make_shard, _read_shard, checksum=True),
    *map(archive, ("zip", "tar.gz", "tar", "gz")),
)  # fmt: skip
