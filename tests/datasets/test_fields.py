"""Settings of adapters that may be left out are checked all the same."""

import re

import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.robotcar import RobotCar
from localize.types import InputError


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Aachen(holdout=2.5), "Aachen.holdout is 2.5, but must be a value of type int"),
        (lambda: Aachen(root=2024), "Aachen.root is 2024, but must be a value of type str"),
        (lambda: RobotCar(cameras="rear"), "RobotCar.cameras is 'rear', but must be a value of type list"),
    ],
)
def test_optional_fields_are_checked_too(made, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        made()
    assert Aachen(holdout=None).holdout is None
