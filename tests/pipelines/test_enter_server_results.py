"""What a benchmark's server gave back, read from pages as people save them and put into a finished table."""

import csv
import datetime
import json
import logging

import pytest

from localize.evaluate.published import read_benchmark
from localize.io.benchmarks.server_results import read_server_results
from localize.pipelines import tables
from localize.pipelines.judging import enter_server_results
from localize.store import Store
from localize.types import InputError

TODAY = datetime.date.today().isoformat()
AACHEN = {"day": (85.2, 92.4, 97.3), "night": (50.0, 60.2, 70.4)}
HEAD = "Method\tday\tnight\n\t(0.25m, 2°) / (0.5m, 5°) / (5m, 10°)\t(0.25m, 2°) / (0.5m, 5°) / (5m, 10°)\n"
PAGES = {
    "typed.txt": "day: 85.2 / 92.4 / 97.3\nnight 50.0/60.2/70.4\n",
    "mail.txt": "submitted 2026/11/30 [DAY] 85.2 / 92.4 / 97.3, [NIGHT] 50.0 % / 60.2 % / 70.4 %",
    "copied.txt": HEAD + "localize_parallel_seed0\t85.2 / 92.4 / 97.3\t50.0 / 60.2 / 70.4\n",
    "column.txt": "day\nnight\nbounds 0.25/0.5/5 m, 2/5/10 deg\n85.2 / 92.4 / 97.3\n50.0 / 60.2 / 70.4\n",
    "page.html": "<html><script>x = '1/2/3'</script><h1>Aachen Day-Night, day by day</h1><table><tr><th>Method</th>"
    "<th>day</th><th>night</th></tr><tr><td>mine</td><td>85.2 / <b>92.4</b> / 97.3</td><td>50.0 / 60.2 / 70.4</td>",
    "answer.json": '{"data": {"day": "85.2 / 92.4 / 97.3", "night": [50.0, 60.2, 70.4]}}',
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_alike(name, tmp_path):
    (tmp_path / name).write_text(PAGES[name])
    assert read_server_results(tmp_path / name) == AACHEN


def test_a_row_is_chosen_by_its_method(tmp_path):
    path = tmp_path / "page.txt"
    path.write_text(HEAD + "my_a\t1/2/3\t4/5/6\nmy_ab\t85.2 / 92.4 / 97.3\t50.0 / 60.2 / 70.4\n")
    assert read_server_results(path, "my_ab") == AACHEN
    assert read_server_results(path, "my_a")["day"] == (1, 2, 3)
    with pytest.raises(InputError, match=r"day has several results: keep the row of yours alone, or name it"):
        read_server_results(path)
    with pytest.raises(InputError, match="no row of results names 'my'"):
        read_server_results(path, "my")


def test_conditions_of_robotcar_are_told_apart(tmp_path):
    (tmp_path / "p").write_text("day all night all night night-rain overcast-winter\n1/2/3 2/3/4 3/4/5 4/5/6 5/6/7")
    found = read_server_results(tmp_path / "p")
    assert {k: v[0] for k, v in found.items()} == {
        "day all": 1,
        "night all": 2,
        "night": 3,
        "night-rain": 4,
        "OC-winter": 5,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("85.2 / 92.4 / 97.3", "stands behind no condition; text such as `day 85.2 / 92.4 / 97.3`"),
        ("day\nnight\n1/2/3", "1 results stand beneath 2 conditions"),
        ("a\tday\tnight\nx\t1/2/3\tpending\ny\t4/5/6\t-", "1 results stand beneath 2 conditions, and then `pending`"),
        ("day 1/2/3\nnight: 4/5", "does not give night three percentages"),
        ("day 1/2/3/4", "does not give day three percentages"),
        ("please log in", "names no condition with three percentages"),
        ("{", "is no JSON"),
    ],
)
def test_what_is_not_clear_is_refused(text, sentence, tmp_path):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(InputError) as e:
        read_server_results(tmp_path / "p.txt")
    assert sentence in str(e.value)


@pytest.fixture
def made(tmp_path):
    """A finished table of a benchmark whose data is not there, as +table= leaves it behind, by its name."""

    class Nowhere:
        def load(self):
            raise InputError("folder is missing")

    def make(name: str):
        tables.run(Nowhere(), Store(tmp_path / "store"), output=str(tmp_path / name), table=name, seeds=(0, 3))
        return tmp_path / name

    return make


def rows(folder) -> dict:
    with open(folder / "table.csv", newline="") as f:
        return {(r["method"], r["figures"]): r for r in csv.DictReader(f)}


def test_aachens_night_gets_a_column_for_todays_bounds(made):
    folder = made("aachen")
    text = enter_server_results.run(run=str(folder), figures={"day": list(AACHEN["day"]), "night": "50.0/60.2/70.4"})
    row = rows(folder)["parallel", f"ours, from the server, entered {TODAY}"]
    assert [v for k, v in row.items() if k.startswith("day ")] == ["85.2", "92.4", "97.3"]
    assert row["night 0.5 m / 2 deg"] == ""  # the paper's bounds: not the server's
    assert row["night since 2020 0.25 m / 2 deg"] == "50.0"
    published = rows(folder)["ParallelSearch+CRBNet", "published"]
    assert published["night 0.5 m / 2 deg"] == "68.4"
    assert published["night since 2020 0.25 m / 2 deg"] == ""
    assert "0.25 m / 2 deg, 0.5 m / 5 deg, 5 m / 10 deg (day, night since 2020); 0.5 m / 2 deg" in text
    for suffix in ("txt", "md", "csv", "tex"):
        assert TODAY in (folder / f"table.{suffix}").read_text()
    assert "RT_AP, RT, IR: no data" in text  # those that were not entered still say why


def test_entering_again_replaces_and_other_seeds_stay(made):
    folder = made("aachen")
    for seed, day in ((0, [1, 2, 3]), (3, [4, 5, 6]), (0, [7, 8, 9])):
        enter_server_results.run(run=str(folder), seed=seed, figures={"day": day, "night": [0, 0, 0]})
    found = json.loads((folder / "table.json").read_text())["table"]
    (row,) = (r for r in found["rows"] if r["method"] == "parallel")
    assert [(s["seed"], s["cells"][0]) for s in row["server"]] == [(0, [7, 8, 9]), (3, [4, 5, 6])]
    assert [c["name"] for c in found["columns"]] == ["day", "night", "night since 2020"]
    assert len(rows(folder)) == 3 + 2 + len(read_benchmark("aachen").rows)


def test_results_of_before_2020_stand_in_the_papers_columns(made):
    folder = made("aachen")
    enter_server_results.run(run=str(folder), figures=AACHEN, night_thresholds="before_2020")
    assert rows(folder)["parallel", f"ours, from the server, entered {TODAY}"]["night 0.5 m / 2 deg"] == "50.0"


def test_robotcar_gets_the_columns_that_the_paper_has_not(made, tmp_path):
    folder = made("robotcar")
    (tmp_path / "p.txt").write_text("day all 10/20/30\nnight all 1/2/3\nOC-summer 30/40/50")
    enter_server_results.run(run=str(folder), row="IR", file=str(tmp_path / "p.txt"))
    row = rows(folder)["IR", f"ours, from the server, entered {TODAY}"]
    assert [row[f"{c} 0.25 m / 2 deg"] for c in ("day all", "night all", "OC-summer", "dawn")] == [
        "10.0",
        "1.0",
        "30.0",
        "",
    ]


def test_percentages_are_compared_with_the_number_of_queries(made, caplog):
    folder = made("aachen")
    (folder / "parallel/seed0").mkdir(parents=True)
    queries = {str(i): {"tags": ["night"]} for i in range(98)}
    (folder / "parallel/seed0/results.json").write_text(json.dumps({"queries": queries}))
    caplog.set_level(logging.WARNING)
    enter_server_results.run(run=str(folder), figures={"night": [50.0, 60.2, 70.6]})
    said = [r.getMessage() for r in caplog.records]
    assert "night 70.6 % is no whole number of its 98 queries: compare it with the page" in said
    assert "no figures for day: their cells stay empty" in said
    assert sum("whole number" in s for s in said) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"row": "serial"}, "has no row 'serial' of ours (pipeline.row): it has RT_AP, RT, IR, parallel"),
        ({"seed": 1}, "was not made with seed 1 (pipeline.seed), but with 0, 3"),
        ({"run": "nowhere"}, "nowhere/table.json cannot be read"),
        ({"figures": None}, "give either pipeline.file=PAGE or pipeline.figures, as 'pipeline.figures={day: [85.2"),
        ({"figures": {"day": [1, 2]}}, "pipeline.figures has day: [1, 2], but must be as"),
        ({"figures": {"noon": [1, 2, 3]}}, "pipeline.figures has noon"),
        ({"figures": {"dawn": [1, 2, 3]}}, "dawn is no condition of this table; those are day, night"),
        ({"figures": {"day": [1, 2, 101]}}, "day 1 / 2 / 101: a percentage lies between 0 and 100"),
        ({"figures": {"day": [3, 2, 4]}}, "day 3 / 2 / 4 falls, but looser bounds let no query out"),
        ({"night_thresholds": "2020"}, "pipeline.night_thresholds is '2020', but must be since_2020 or before_2020"),
    ],
)
def test_wrong_settings_get_a_sentence_and_change_nothing(made, settings, sentence):
    folder = made("aachen")
    before = (folder / "table.json").read_text()
    with pytest.raises(InputError) as e:
        enter_server_results.run(**{"run": str(folder), "figures": AACHEN, **settings})
    assert sentence in str(e.value)
    assert (folder / "table.json").read_text() == before


def test_minitown_has_no_server(made):
    with pytest.raises(InputError, match="holds a table of a benchmark without a server: Minitown"):
        enter_server_results.run(run=str(made("minitown")), figures=AACHEN)
