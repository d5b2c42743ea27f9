"""The tables of spatial context: published figures as published, ours beside them, and reasons."""

import csv
import json
import re

import pytest

from localize.datasets.revisited_miniature import RevisitedMiniature
from localize.evaluate.published import read_revisited_tables
from localize.pipelines import spatial_context_tables
from localize.pipelines.revisited_tables import Contender
from localize.retrieval.how import How
from localize.store import Store
from localize.types import InputError
from tests.conftest import SHARED, results
from tests.pipelines.test_evaluate_revisited import Thumbnail


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Run the tables: (text, rows of tableN.csv by N, method and figures)."""
    monkeypatch.delenv("LOCALIZE_DATA", raising=False)

    def run(**settings):
        text = spatial_context_tables.run(Store(tmp_path / "store"), output=str(tmp_path / "out"), **settings)
        rows = {}
        for number in "123":
            with open(tmp_path / f"out/table{number}.csv", newline="") as f:
                rows |= {(number, r["method"], r["figures"]): r for r in csv.DictReader(f)}
        return text, rows

    return run


def test_published_figures_are_those_of_the_slides_and_of_the_codes_pages():
    path = SHARED / "spec" / "seed_tables.json"
    if not path.is_file():
        pytest.skip(f"the published figures are not at {path}")
    spec = json.loads(path.read_text())
    tables = read_revisited_tables("spatial_context")
    slides = spec["S002"]["smoothing_table"]
    for name, cells in tables["1"].rows.items():
        assert [v for cell in cells for v in cell] == [v for pair in slides[name] for v in pair]
    assert len(tables["1"].columns) == 2 * len(slides["columns"])
    bases, found = spec["auxiliary_not_in_seeds"], {}
    for name, cells in tables["2"].rows.items():
        named = zip([c.name.replace(" ", "_") for c in tables["2"].columns], cells, strict=True)
        found[name] = {column: cell[0] for column, cell in named if cell is not None}
    assert found.pop("FIRe") == bases["FIRe_readme"]
    assert found.pop("SOLAR") == bases["SOLAR_readme"]
    theirs = {f"HOW {name.replace('_n', ' n=')}": row for name, row in bases["HOW_readme"].items()}
    assert found == theirs
    lost = zip([c.name for c in tables["3"].columns], tables["3"].rows["LOST"], strict=True)
    assert {name: cell[0] for name, cell in lost} == bases["LOST_readme_corloc"]


def test_ours_stand_beside_them(make, tmp_path):
    root = tmp_path / "oxford"
    RevisitedMiniature(str(root), num_facades=2, num_distractors=0).benchmark()
    how = How(backbone="compact", smoothing="none", scales=(1.0,), max_edge_px=96)
    text, rows = make(oxford=str(root), descriptors=(Contender("small", Thumbnail()), Contender("HOW", how)))
    for name in ("small", "HOW", "HOW+ASMK"):
        found = results(tmp_path / f"out/{name}/ROxf")["setups"]
        for letter, setup in (("E", "easy"), ("M", "medium"), ("H", "hard")):
            assert float(rows["2", name, "ours"][f"ROxf {letter} mAP"]) == pytest.approx(
                100 * found[setup]["mAP"], abs=0.01
            )
        assert rows["1", name, "ours"]["ROxf mAP "] == rows["2", name, "ours"]["ROxf M mAP"]
        assert rows["1", name, "ours"]["ROxf C_X "] == rows["2", name, "ours"]["RPar M mAP"] == ""
    assert rows["2", "HOW", "ours"]["ROxf H mAP"] != rows["2", "HOW+ASMK", "ours"]["ROxf H mAP"]
    assert not any(name == "small+ASMK" for _, name, _ in rows)  # it has no local features of its own
    assert re.search(r"^HOW R18 n=1000, published +- +75\.1 +- +- +79\.4 +- +-$", text, re.MULTILINE)
    assert "RPar, ours: no data: say where rparis6k is: pipeline.paris=FOLDER" in text
    assert "+1M" not in text


def test_without_data_the_published_figures_are_printed(make):
    text, rows = make()
    assert "HOW compact (none)+ASMK, " in text
    assert "no data: say where roxford5k is: pipeline.oxford=FOLDER" in text
    assert rows["1", "R18 with smoothing (row 8)", "published"]["TinyGLD2 C_X +- "] == "11.4"
    assert "LOST: no data: no data set with boxes" in text
    with pytest.raises(InputError, match=r"conf/table/spatial_context\.yaml"):
        make(descriptors=())
