"""The tables of the deep spatial matching paper: published figures as published, ours beside them, and reasons."""

import csv
import json
import re

import pytest

from localize.datasets.revisited_miniature import RevisitedMiniature
from localize.evaluate.published import read_revisited_tables
from localize.pipelines import dsm_tables
from localize.pipelines.dsm_tables import Contender
from localize.retrieval.gem import Gem
from localize.retrieval.reranking.query_expansion import QueryExpansion
from localize.store import Store
from localize.types import InputError
from tests.conftest import SHARED, results
from tests.pipelines.test_evaluate_revisited import Thumbnail

NO_FILE = Gem(weights="/none.safetensors")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Run the tables: (text, rows of tableN.csv by method and figures)."""
    monkeypatch.delenv("LOCALIZE_DATA", raising=False)
    monkeypatch.setattr(dsm_tables, "RERANKINGS", {"": lambda _: (), "+DSM": lambda _: (QueryExpansion(),)})

    def run(number: str, **settings):
        text = dsm_tables.run(Store(tmp_path / "store"), output=str(tmp_path / "out"), **settings)
        with open(tmp_path / f"out/table{number}.csv", newline="") as f:
            return text, {(r["method"], r["figures"]): r for r in csv.DictReader(f)}

    return run


@pytest.fixture(scope="module")
def oxford(tmp_path_factory):
    root = tmp_path_factory.mktemp("revisited") / "oxford"
    RevisitedMiniature(str(root), num_facades=3, num_distractors=4).benchmark()
    return root


def test_published_figures_are_those_of_the_paper():
    path = SHARED / "spec" / "seed_tables.json"
    if not path.is_file():
        pytest.skip(f"the papers' figures are not at {path}")
    paper = json.loads(path.read_text())["S001"]
    theirs = [paper["table1"], paper["table2_off_the_shelf_GeM_whitened"], paper["table3_MAC_whitening"]]
    theirs.append(
        {"columns": paper["table4"]["columns"], **paper["table4"]["no_diffusion"], **paper["table4"]["diffusion"]}
    )
    for ours, expected in zip(read_revisited_tables("dsm").values(), theirs, strict=True):
        columns = [
            f"{c.name.replace('+', '').replace(' ', '_')}_{f.replace('@', '')}" for c in ours.columns for f in c.figures
        ]
        assert columns == expected.pop("columns")
        assert {name: [v for cell in cells for v in cell] for name, cells in ours.rows.items()} == expected


def test_ours_stands_beside_the_published_row_of_its_name(make, oxford, tmp_path):
    ours = (Contender("V", Thumbnail()), Contender("mine", Thumbnail()), Contender("lost", NO_FILE))
    settings = {"oxford": str(oxford), "distractors": str(oxford / "revisitop1m"), "descriptors": ours}
    text, rows = make("2", **settings)
    found = results(tmp_path / "out/V+DSM/ROxf")["setups"]
    assert float(rows["V+DSM", "ours"]["ROxf H mAP"]) == pytest.approx(100 * found["hard"]["mAP"], abs=0.01)
    assert float(rows["V+DSM", "ours"]["ROxf M mP@10"]) == pytest.approx(100 * found["medium"]["mP"]["10"], abs=0.01)
    assert rows["V", "ours"]["ROxf M mAP"] != rows["V+DSM", "ours"]["ROxf M mAP"]
    assert rows["V", "ours"]["RPar M mAP"] == ""  # there is no Paris
    assert rows["V", "published"]["ROxf M mAP"] == "44.8"
    assert ("mine", "ours") not in rows
    assert re.search(r"^V\+DSM, ours +[\d.]+ / [\d.]+ +- +[\d.]+ / [\d.]+ +-$", text, re.MULTILINE)
    assert "ROxf+1M, ours: ROxford5k + 4 distractors, 28 photos, 6 queries." in text
    assert "RPar, ours: no data: say where rparis6k is: pipeline.paris=FOLDER" in text
    text, rows = make("4", **settings)
    more = results(tmp_path / "out/mine/ROxf+1M")
    assert (more["num_distractors"], more["vector_bytes"]) == (4, more["num_photos"] * more["dimensions"] * 2)
    assert float(rows["mine", "ours"]["ROxf+1M M mAP"]) == pytest.approx(
        100 * more["setups"]["medium"]["mAP"], abs=0.01
    )
    assert ("V", "ours") not in rows
    assert "lost, lost+DSM: no weights: " in text
    assert rows["lost", "ours"]["ROxf M mAP"] == ""


def test_without_data_the_published_figures_are_printed(make):
    text, rows = make("2", descriptors=(Contender("V", NO_FILE),))
    assert "V, V+DSM: no data: say where roxford5k is: pipeline.oxford=FOLDER" in text
    assert "/none.safetensors" in text  # what else will be missing
    assert rows["V", "ours"]["remark"].startswith("say where")
    assert rows["Rup+DSM+D", "published"]["RPar H mP@10"] == "95.0"
    assert text.count("of the deep spatial matching paper") == 4
    with pytest.raises(InputError) as e:
        make("2", retrieval=Thumbnail(), descriptors=(Contender("a", Thumbnail()),) * 2)
    assert [p.split()[0] for p in e.value.problems] == ["the", "pipeline.descriptors"]
