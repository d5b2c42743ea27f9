"""The roles: one list of them, which the configuration follows; one door for each thing a component may declare."""

import dataclasses
from typing import ClassVar

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from localize.components import files_of, missing, suited, unfit
from localize.features.sift import Sift
from localize.keys import describe
from localize.roles import ANSWERING, BUILT_INTO_MAPS, ROLES, Components, unfit_for_role
from localize.types import InputError
from tests.conftest import CHECKOUT


def test_the_configuration_takes_the_roles_and_their_defaults():
    with initialize_config_module("localize.conf", version_base=None):
        made = instantiate(compose("config"), _convert_="all")
    settings = {"dataset", "workers", "progress", "store", "costs"}
    assert set(made) == settings | set(ROLES)
    assert Components(**{role: made[role] for role in ROLES}) == Components()


def test_what_a_component_lacks_for_its_role_is_said():
    @dataclasses.dataclass(frozen=True)
    class Bare:
        VERSION: ClassVar[int] = 1

    said = {role: unfit_for_role(role, Bare()) for role in ROLES}
    assert said["feature"] == ["Bare cannot be a feature: it has no grey, no extract; see localize/features/base.py"]
    assert said["index"] == ["Bare cannot be a index: it has no build, no nearest; see localize/index/base.py"]
    assert all(len(sentences) == 1 for sentences in said.values())
    flags = {"uses_leaves": False, "uses_frames": True}
    looks = dataclasses.make_dataclass("Looks", [], bases=(Bare,), namespace=flags, frozen=True)
    assert unfit_for_role("search", looks()) == [
        "Looks cannot be a search: it has no num_frames, no nearest; see localize/search/base.py"
    ]
    assert "is no role" in unfit_for_role("taste", Bare())[0]


def test_a_component_that_declares_nothing_lacks_nothing():
    @dataclasses.dataclass(frozen=True)
    class Plain:
        pass

    plain = Plain()
    assert files_of(plain) == missing(plain) == unfit(plain, None) == []
    assert suited(plain, Sift()) is plain


def test_a_component_that_declares_something_is_asked():
    @dataclasses.dataclass(frozen=True)
    class Careful:
        path: str

        def files(self):
            return [self.path]

        def preflight(self):
            return ["lacks salt"]

        def check_scene(self, scene):
            return [f"does not like {scene}"]

    careful = Careful(str(CHECKOUT / "LICENSE"))
    assert files_of(careful) == [careful.path]
    assert missing(careful) == ["lacks salt"]
    assert unfit(careful, "rain") == ["does not like rain"]
    assert len(describe(careful)["files"]) == 1
    with pytest.raises(InputError, match="cannot be read"):
        describe(Careful("/no/file"))


def test_a_saved_map_carries_every_role_that_answers():
    assert set(ROLES) == {*ANSWERING, "mapping", "pair_matching", "reconstruction", "submission"}
    assert set(ANSWERING) > BUILT_INTO_MAPS
    assert unfit_for_role("pose", {"max_error_px": 3}) == [
        "the YAML of this pose has no _target_, the class that it stands for"
    ]
