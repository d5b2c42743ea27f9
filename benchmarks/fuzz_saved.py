"""Saved maps, stored results and archives that `fuzz.py` harms."""

import gzip
import shutil
import tarfile
import zipfile

import numpy as np
from fuzz_kind import Kind, images

from localize.types import PairMatches, PointRows


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
                use, references=images(), rows=rows(), index=BuiltIndex(trees, trees.build(rows()), ""),
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


SAVED = (
    *map(saved_map, ("localizer.json", "rows/record.json", "references/record.json", "rows/point.npy",
                     "rows/image_indptr.npy", "rows/points.npy", "vectors.npy", "index/nodes.npy",
                     "index/block_items.npy", "index/first_block.npy", "index/record.json")),
    saved_map("index/left.npy", "literal"), saved_map("index/order.npy", "literal"),
    artifact("rows.npy"), artifact("record.json"), Kind("store shard", _make_shard, _read_shard, checksum=True),
    *map(archive, ("zip", "tar.gz", "tar", "gz")),
)  # fmt: skip
