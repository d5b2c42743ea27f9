"""settings=paper: what it composes, the supplied map, upright keypoints, and what stands in for missing files."""

import dataclasses
import shutil

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from localize.features.sift_crbnet import SiftCrbnet
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.mapping.imported import Imported
from localize.mapping.triangulation import Triangulation
from localize.paper import PAPER, differences, sift_crbnet, weights_notes
from localize.pipelines import serial
from localize.pipelines.exchange import export_layout
from localize.roles import ROLES, Components
from localize.search.prior import Leaves
from localize.stages import like_supplied
from localize.types import InputError
from localize.weights.shipped import FOLDER
from tests.conftest import FEATURE, adapter, results


@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCALIZE_WEIGHTS", str(tmp_path / "weights"))


def composed(*words: str) -> Components:
    with initialize_config_module("localize.conf", version_base=None):
        made = instantiate(compose("config", list(words)), _convert_="all")
    return Components(**{role: made[role] for role in ROLES})


@pytest.fixture(scope="module")
def upright(day_night, finished, tmp_path_factory):
    """The folder that holds aachen/, its database upright."""
    folder, feature = tmp_path_factory.mktemp("upright"), dataclasses.replace(FEATURE, upright=True)
    export_layout.run(day_night, finished[0], feature=feature, output=str(folder), layout="aachen")
    return folder


def test_the_configuration_is_the_papers():
    use = composed("settings=paper", "dataset=aachen")
    assert isinstance(use.mapping, Imported)
    assert differences(use) == []
    assert composed("settings=ours") == Components()
    assert isinstance(composed("settings=paper", "dataset=aachen", "dataset.version=v1.1").mapping, Triangulation)


def test_piece_by_piece():
    use = composed("settings=paper", "+table=minitown", "index=random_trees", "matching.ratio=0.9")
    assert (use.index, use.matching.ratio, use.refinement) == (RandomTrees(), 0.9, PAPER.refinement)
    assert composed("+table=minitown", "settings=ours") == Components()
    use = composed("+pipeline=direct", "settings=paper")
    assert (use.search, use.index) == (Leaves(), LiteralTrees())
    use = composed("+pipeline=serial", "settings=paper", "feature=sift", "pose=colmap")
    assert use.search.precision == "float32"


def test_weights_that_are_there_are_taken(tmp_path, caplog):
    assert sift_crbnet().weights == "crbnet256_lite"
    assert "stand-in: CRBNet is crbnet256_lite of this package, as there is no" in caplog.text
    (tmp_path / "weights").mkdir()
    path = shutil.copy(FOLDER / "crbnet256_lite.safetensors", tmp_path / "weights/crbnet256.safetensors")
    assert sift_crbnet().weights == str(path)
    assert sift_crbnet(weights="own.safetensors").weights == "own.safetensors"
    assert (
        "stand-in: crbnet256.safetensors (a training of your own)"
        in weights_notes(Components(feature=sift_crbnet()))[0]
    )


def test_a_table_of_an_upright_database(run_cli, upright, tmp_path):
    """Nothing but the folder is given: the supplied map, upright features and the stand-ins, all said."""
    given = f"dataset.root={upright / 'aachen'}", f"dataset.ground_truth={upright / 'aachen/ground_truth.txt'}"
    code, text = run_cli("+table=aachen", *given, "pipeline.rows=[parallel]", "workers=1")
    assert code == 0
    assert "aachen.db are upright, and so are those of the queries: feature.upright=true" in text
    assert "Not as in the paper" not in text
    for file in ("crbnet256_lite.safetensors", "compact.safetensors"):
        assert f"Weights, stand-in: {file} (" in text
    assert "for Pitts30K_struct.mat of NetVLAD's authors" in text
    found = results(tmp_path / "run/parallel/seed0")
    assert found["conditions"]["all"]["recall"]["5 m / 10 deg"] == 1
    assert "are upright, and so are those of the queries" in found["notes"][-1]
    stages = {stage["name"] for stage in found["stages"]}
    assert "pair_matches" not in stages  # nothing is triangulated


def test_the_other_kind_of_keypoints_is_refused(run_cli, upright, layouts, finished):
    given = "+pipeline=serial", "feature=sift", "mapping=imported", "dataset=aachen"
    code, text = run_cli(*given, f"dataset.root={upright / 'aachen'}", "feature.upright=false")
    assert code == 2
    assert "aachen.db are upright (all orientations are 0), but those of the queries would be turned" in text
    assert "take feature.upright=true, or mapping=triangulation" in text
    turned, straight = adapter(layouts, "robotcar").load(), dataclasses.replace(FEATURE, upright=True)
    with pytest.raises(InputError, match=r"are turned, but those of the queries would be upright.*upright=false"):
        serial.run(turned, finished[0], feature=straight, mapping=Imported())
    with pytest.raises(InputError, match="are turned"):
        like_supplied(SiftCrbnet(upright=True), Imported(), turned)
    assert like_supplied(straight, Triangulation(), turned) is straight


def test_an_unknown_setting_is_explained(run_cli):
    code, text = run_cli("+pipeline=serial", "settings=paper", "+retrieval.dimm=3")
    assert code == 2
    assert "there is no setting dimm in localize.paper.netvlad (did you mean dim?)" in text
