"""Every number that a user can set has a range: none that makes no sense gets past the component that it is for."""

import dataclasses
import functools
import typing

import omegaconf
import pytest
from hydra.utils import get_object

from localize.datasets.colmap import Colmap
from localize.features.d2net import D2Net
from localize.given import check_parts_of
from localize.pipelines.judging import evaluate_retrieval
from localize.pose.poselib import PoseLib
from localize.store import Store
from localize.types import InputError, Prior
from tests.conftest import CHECKOUT

IMPOSSIBLE = {"inf": float("inf"), "nan": float("nan"), "1e308": 1e308, "2**70": 2**70, "-1": -1}
NEGATIVE = {"tau", "first_octave", "first", "last"}  # fields that may be


def classes(node):
    """The components of a configuration, those within others too."""
    if isinstance(node, dict):
        target = get_object(node["_target_"]) if "_target_" in node else None
        yield from [target] if isinstance(target, type) else []
        for value in node.values():
            yield from classes(value)


FILES = sorted((CHECKOUT / "conf").glob("*/*.yaml"))
COMPONENTS = {
    cls.__qualname__ + ":" + cls.__module__: cls
    for path in FILES
    for cls in classes(omegaconf.OmegaConf.to_container(omegaconf.OmegaConf.load(path)))
}


def numbers(cls):
    """Names of the fields that hold a number."""
    return [f.name for f in dataclasses.fields(cls) if {int, float} & {f.type, *typing.get_args(f.type)}]


def made(cls, **given):
    """A component with some of its fields given; those without a default hold something of their type."""
    required = [f for f in dataclasses.fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    return cls(**{f.name: ("x",) if f.type is tuple else "x" for f in required} | given)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_number_of_every_component_has_a_range(name):
    cls = COMPONENTS[name]
    for field in numbers(cls):
        for said, value in IMPOSSIBLE.items():
            if said == "-1" and field in NEGATIVE:
                continue
            with pytest.raises(InputError, match=rf"{field} is {value!r}".replace("+", r"\+")):
                made(cls, **{field: value})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Colmap("x", "y", thresholds=[[1.0, float("inf")]]), "Colmap.thresholds is inf"),
        (lambda: D2Net(scales=(1e308,)), "D2Net.scales is 1e\\+308"),
        (lambda: PoseLib(max_error_px=10**400), "must be greater than 0 and at most 1000000"),
        (lambda: Prior(gravity=(0, 0, 1), gravity_deg=float("inf")), "gravity_deg"),
        (lambda: Prior(position=(0, 0, 1), radius_m=float("inf")), "radius_m"),
        (lambda: Store(None), "store.root is None, but must be a folder"),
        (lambda: Store(" "), "store.root is ' '"),
        (lambda: Store("x", verify="abc"), "store.verify is 'abc', but must be a value of type bool"),
    ],
)
def test_so_has_what_is_no_field_of_a_component(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_numbers_of_pipelines_are_checked():
    with pytest.raises(InputError, match=r"pipeline\.min_share is inf, but must be a finite number"):
        check_parts_of(functools.partial(evaluate_retrieval.run, min_share=float("inf")))
