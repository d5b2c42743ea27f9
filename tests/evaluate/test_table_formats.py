"""Tables of benchmarks on paper: exact text, and published figures as published."""

import json

import pytest

from localize.evaluate.benchmark_table import BenchmarkTable, Column, Row, texts
from localize.evaluate.published import NIGHT, STANDARD, read_benchmark
from tests.conftest import SHARED

TWO = ((0.25, 2.0), (5.0, 10.0))
DAY, NIGHTS = Column("day", "day", TWO), Column("night_rain", "night-rain", ((0.5, 2.0), (5.0, 10.0)))
SMALL = BenchmarkTable(
    "Town.",
    (DAY, NIGHTS),
    (
        Row("RT_AP", (((10.0, 20.0), None), ((30.0, 70.0), None)), "", "", "RT_AP+X", ((75.0, 92.4), (5.1, 7.0))),
        Row("IR", (((12.346, 100.0), (0.0, 1.0)),)),
        Row("RT", (), "no data", "a|b is\nmissing", "RT+X", None),
        Row("all", (), "no data", "a|b is\nmissing"),
        Row("", published_as="AS & 100%", published=((1.0, 2.0), (3.0, 4.0))),
    ),
    ("A note.",),
)


def test_text():
    assert texts(SMALL)["txt"] == (
        "Town.\n"
        "Percent of all queries within 0.25 m / 2 deg, 5 m / 10 deg (day); 0.5 m / 2 deg, 5 m / 10 deg (night_rain).\n"
        "\n"
        "                                       day  night_rain\n"
        "------------------------------------------------------\n"
        "RT_AP, ours, mean of 2 seeds   20.0 / 45.0           -\n"
        "RT_AP, ours, lowest            10.0 / 20.0           -\n"
        "RT_AP, ours, highest           30.0 / 70.0           -\n"
        "RT_AP+X, published             75.0 / 92.4   5.1 / 7.0\n"
        "IR, ours                      12.3 / 100.0   0.0 / 1.0\n"
        "RT, ours                           no data     no data\n"
        "all, ours                          no data     no data\n"
        "AS & 100%, published             1.0 / 2.0   3.0 / 4.0\n"
        "\n"
        "RT, all: no data: a|b is missing\n"
        "A note.\n"
    )


def test_markdown():
    assert texts(SMALL)["md"].split("\n\n")[1:] == [
        "| method | figures | day | night_rain |\n"
        "| --- | --- | ---: | ---: |\n"
        "| RT_AP | ours, mean of 2 seeds | 20.0 / 45.0 | - |\n"
        "| RT_AP | ours, lowest | 10.0 / 20.0 | - |\n"
        "| RT_AP | ours, highest | 30.0 / 70.0 | - |\n"
        "| RT_AP+X | published | 75.0 / 92.4 | 5.1 / 7.0 |\n"
        "| IR | ours | 12.3 / 100.0 | 0.0 / 1.0 |\n"
        "| RT | ours | no data | no data |\n"
        "| all | ours | no data | no data |\n"
        "| AS & 100% | published | 1.0 / 2.0 | 3.0 / 4.0 |",
        "- RT, all: no data: a|b is missing\n- A note.\n",
    ]


def test_csv():
    assert texts(SMALL)["csv"] == (
        "method,figures,day 0.25 m / 2 deg,day 5 m / 10 deg,night_rain 0.5 m / 2 deg,night_rain 5 m / 10 deg,remark\n"
        'RT_AP,"ours, mean of 2 seeds",20.0,45.0,,,\n'
        'RT_AP,"ours, lowest",10.0,20.0,,,\n'
        'RT_AP,"ours, highest",30.0,70.0,,,\n'
        "RT_AP+X,published,75.0,92.4,5.1,7.0,\n"
        "IR,ours,12.35,100.0,0.0,1.0,\n"
        'RT,ours,,,,,"a|b is\nmissing"\n'
        'all,ours,,,,,"a|b is\nmissing"\n'
        "AS & 100%,published,1.0,2.0,3.0,4.0,\n"
    )


def test_latex():
    assert texts(SMALL)["tex"] == (
        "% Town.\n"
        "% Percent of all queries within 0.25 m / 2 deg, 5 m / 10 deg (day); "
        "0.5 m / 2 deg, 5 m / 10 deg (night_rain).\n"
        "\\begin{tabular}{llcc}\n"
        "\\toprule\n"
        "Method & Figures & day & night\\_rain \\\\\n"
        "\\midrule\n"
        "RT\\_AP & ours, mean of 2 seeds & 20.0 / 45.0 & -- \\\\\n"
        "RT\\_AP & ours, lowest & 10.0 / 20.0 & -- \\\\\n"
        "RT\\_AP & ours, highest & 30.0 / 70.0 & -- \\\\\n"
        "RT\\_AP+X & published & 75.0 / 92.4 & 5.1 / 7.0 \\\\\n"
        "IR & ours & 12.3 / 100.0 & 0.0 / 1.0 \\\\\n"
        "RT & ours & no data & no data \\\\\n"
        "all & ours & no data & no data \\\\\n"
        "AS \\& 100\\% & published & 1.0 / 2.0 & 3.0 / 4.0 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "% RT, all: no data: a|b is missing\n"
        "% A note.\n"
    )


def test_a_wide_table_is_cut_into_blocks():
    benchmark = read_benchmark("robotcar")
    rows = tuple(Row("", published_as=name, published=cells) for name, cells in benchmark.rows.items())
    text = texts(BenchmarkTable("", benchmark.columns, rows))["txt"]
    assert max(map(len, text.splitlines())) <= 120
    heads = [line.split() for line in text.splitlines() if "OC-summer" in line or "rain" in line or "sun" in line]
    assert heads == [["dawn", "dusk", "OC-summer"], ["OC-winter", "rain", "snow"], ["sun", "night", "night-rain"]]
    line = next(line for line in text.splitlines() if line.startswith("FABMAP") and "86.5" in line)
    assert " ".join(line.split()[2:]) == "2.6 / 13.3 / 44.1 8.8 / 32.1 / 86.5 2.0 / 8.2 / 28.4"


@pytest.mark.parametrize(("name", "key"), [("robotcar", "table2"), ("aachen", "table3")])
def test_published_figures_are_those_of_the_paper(name, key):
    path = SHARED / "spec" / "seed_tables.json"
    if not path.is_file():
        pytest.skip(f"the papers' figures are not at {path}")
    paper = json.loads(path.read_text())["S003"]
    benchmark = read_benchmark(name)
    expected = {n: cells for n, cells in paper[key].items() if n not in ("metric", "columns", "note")}
    number = len(paper[key]["columns"])  # others are ours alone
    assert {n: [list(cell) for cell in cells[:number]] for n, cells in benchmark.rows.items()} == expected
    assert [c.name for c in benchmark.columns[:number]] == paper[key]["columns"]
    assert list(benchmark.scene.values()) == list(paper["datasets"][name].values())
    short = {t: [f"{m:g}/{d:g}".removeprefix("0") for m, d in t] for t in (STANDARD, NIGHT)}
    if name == "aachen":
        assert f"day {' '.join(short[STANDARD])}, night {' '.join(short[NIGHT])} (m/deg)" in paper[key]["metric"]
        assert [c.thresholds for c in benchmark.columns] == [STANDARD, NIGHT, STANDARD]  # the last: the server's nights
    else:
        assert ", ".join(f"{m:g}m/{d:g}deg".removeprefix("0") for m, d in STANDARD) in paper[key]["metric"]
        assert {c.thresholds for c in benchmark.columns} == {STANDARD}


def test_columns_are_the_folders_of_robotcar():
    folders = "dawn dusk overcast-summer overcast-winter rain snow sun night night-rain"
    assert " ".join(column.tag for column in read_benchmark("robotcar").columns) == folders
