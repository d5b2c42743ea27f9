"""Folders of maps from anywhere: nothing in them is believed, and what kernels trust is checked before they see it."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

from localize import InputError, Localizer
from localize.features.sift import Sift
from localize.index.exact import Exact
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.io.records import text_checksum
from localize.retrieval.exact import ExactRanking
from localize.retrieval.reranking.diffusion import Diffusion
from localize.retrieval.reranking.neighbour_graph import mutual_graph
from localize.retrieval.reranking.query_expansion import QueryExpansion
from localize.retrieval.vlad import Codebook, Vlad
from localize.roles import Components
from localize.saved_maps import MapSources
from localize.stages import BuiltIndex, BuiltRanking
from localize.types import Features, Image, ImageList, StoreError
from tests.conftest import PINHOLE, random_pose, random_rows, unit


class OwnVlad(Vlad):
    """A user's own component."""


def saved(folder, seed: int = 0, retrieval=Vlad(num_words=4), ranking=ExactRanking(), rerankers=()):
    rng, index = np.random.default_rng(seed), RandomTrees(num_trees=2)
    rows, use = random_rows(rng, 100), Components(feature=Sift(), retrieval=retrieval, ranking=ranking, index=index)
    names = tuple(f"{i}.jpg" for i in range(5))
    localizer = Localizer(
        use,
        references=ImageList(Image(name, PINHOLE, random_pose(rng)) for name in names),
        rows=rows,
        index=BuiltIndex(use.index, use.index.build(rows), ""),
        ranking=BuiltRanking(ranking, rerankers=rerankers),
        learned=Codebook(rng.normal(size=(4, 32)).astype(np.float32)),
        vectors=rng.normal(size=(5, 128)).astype(np.float32),
        sources=MapSources(names, ("/photos",), np.zeros(5), names, ("0f",) * 5, ("",) * 5, ("",) * 5, "m", "{}"),
    )
    localizer.save(folder)
    return folder


def contents(localizer) -> list:
    """All numbers of a map."""
    parts = localizer.rows, localizer.index.built, localizer.learned
    arrays = [v for part in parts for v in vars(part).values()] + [localizer.vectors, localizer.use]
    arrays += vars(localizer.sources).values()
    return arrays + [np.hstack([i.pose.rotation, i.pose.translation[:, None]]) for i in localizer.references]


def test_any_harmed_byte_of_a_map_is_a_sentence(tmp_path):
    folder, rng = saved(tmp_path / "map"), np.random.default_rng(0)
    right, files = contents(Localizer.load(folder)), sorted(p for p in folder.rglob("*") if p.is_file())
    assert len(files) > 20
    for path in files:
        whole = path.read_bytes()
        at = int(rng.integers(len(whole)))
        harmed = [whole[:at], whole[:at] + bytes([whole[at] ^ 1 << rng.integers(8)]) + whole[at + 1 :], b"{}", b"[1]"]
        head = int(rng.integers(min(len(whole), 128)))
        for data in (*harmed, whole[:head] + b"7" + whole[head + 1 :], b""):
            path.write_bytes(data)
            try:
                for a, b in zip(right, contents(Localizer.load(folder)), strict=True):
                    assert np.array_equal(a, b)
            except (StoreError, InputError):
                continue
            finally:
                path.write_bytes(whole)


def test_a_map_imports_nothing_that_the_caller_did_not_pass(tmp_path, monkeypatch):
    folder = saved(tmp_path / "map", retrieval=OwnVlad(num_words=4))
    with pytest.raises(InputError, match=r"OwnVlad is no class of localize.*Localizer\.load\(\.\.\., classes="):
        Localizer.load(folder)
    assert type(Localizer.load(folder, classes=[OwnVlad]).use.retrieval) is OwnVlad
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend("")
    text = json.loads((folder / "localizer.json").read_text())
    text["components"]["retrieval"]["record"] = "evil:Evil"
    told = {name: value for name, value in text.items() if name not in ("format", "crc32")}
    text["crc32"] = text_checksum(json.dumps(told))  # whoever writes such a file can write that too
    (folder / "localizer.json").write_text(json.dumps(text))
    with pytest.raises(InputError, match="evil:Evil is no class of localize"):
        Localizer.load(folder)
    assert "evil" not in sys.modules


def test_a_map_carries_the_graph_of_its_references(tmp_path, monkeypatch):
    vectors = np.random.default_rng(2).normal(size=(5, 128)).astype(np.float32)
    ranking, graph = ExactRanking(rerank=(QueryExpansion(), Diffusion(k=3))), Diffusion(k=3).build(vectors)
    localizer = Localizer.load(saved(tmp_path / "map", ranking=ranking, rerankers=(None, graph)))
    none, kept = localizer.ranking.rerankers
    assert none is None
    np.testing.assert_array_equal(kept.weights, graph.weights)
    monkeypatch.setattr(Diffusion, "build", None)  # nothing is built for a query
    descriptors = unit(np.random.default_rng(3).normal(size=(9, 32))).astype(np.float32)
    features = Features(np.ones((9, 2)), descriptors, np.ones(9))
    assert sorted(localizer._frames(None, features, Image("", PINHOLE))) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5 references, but a re-ranker prepared for 4"):
        saved(tmp_path / "other", ranking=ranking, rerankers=(None, mutual_graph(vectors[:4], 3, 3.0)))


def test_parts_of_two_maps_are_no_map(tmp_path):
    folder, other = saved(tmp_path / "a"), saved(tmp_path / "b", seed=1)
    for part in ("index", "references"):
        shutil.copytree(other / part, folder / part, dirs_exist_ok=True)
        with pytest.raises(StoreError, match=f"{part} is of another map"):
            Localizer.load(folder)
        shutil.rmtree(folder)
        saved(folder)


def test_numbers_that_kernels_trust_are_checked():
    """A walk through a harmed tree would not end, and an item that is not there would be read."""
    rows = random_rows(np.random.default_rng(0), 300)
    forest = RandomTrees(num_trees=2, leaf_size=32).build(rows)
    trees = LiteralTrees(num_trees=2, max_depth=6).build(rows)
    for record, name, at, value in (
        (forest, "nodes", 0, 5), (forest, "nodes", 1, -1), (forest, "nodes", -1, 1024), (forest, "roots", 1, 0),
        (forest, "first_block", 2, 10**6), (forest, "leaf_items", 0, 10**6), (forest, "block_items", 3, -1),
        (forest, "scale", 0, np.nan), (forest, "point", 0, -1), (forest, "thresholds", 0, np.inf),
        (trees, "left", 3, 0), (trees, "right", 0, 10**6), (trees, "bit", 0, 999), (trees, "hi", 0, 10**6),
        (trees, "order", 0, -5), (rows, "point", 0, 300), (rows, "image_indptr", 1, -1), (rows, "points", 0, np.nan),
    ):  # fmt: skip
        array = getattr(record, name).copy()
        array[at] = value
        with pytest.raises(ValueError, match=type(record).__name__ if name != "thresholds" else "Forest"):
            dataclasses.replace(record, **{name: array})
    with pytest.raises(ValueError, match=r"Forest\.codes has shape"):
        dataclasses.replace(forest, codes=forest.codes[:-16])
    fewer = dataclasses.replace(rows, points=rows.points[:50], point=rows.point % 50)
    for built in (forest, Exact().build(rows)):
        with pytest.raises(ValueError, match="point must lie between 0 and 49"):
            built.check_rows(fewer)
