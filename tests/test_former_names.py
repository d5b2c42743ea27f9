"""Classes that moved or were renamed: what was stored under their former names is still theirs."""

import importlib

import pytest

from localize.features.sift import Sift
from localize.io.records import record_from_json, record_to_json
from localize.keys import FORMER_NAMES, describe, key_of
from localize.retrieval.compact import Compact
from localize.retrieval.exact import ExactRanking
from localize.retrieval.faiss_vectors import FaissPqRanking
from localize.retrieval.restrictions import Restrictions
from localize.types import StoreError


def test_nobody_else_has_the_former_names():
    assert len(set(FORMER_NAMES.values())) == len(FORMER_NAMES)
    assert not set(FORMER_NAMES.values()) & set(FORMER_NAMES)
    for present in FORMER_NAMES:
        module, _, name = present.rpartition(".")
        assert hasattr(importlib.import_module(module), name), present


def test_what_is_stored_bears_the_former_name():
    ranking = FaissPqRanking(num_codes=8)
    stored = record_to_json(ranking)
    assert stored["record"] == "localize.retrieval.faiss_vectors:FaissPq"
    assert describe(ranking)["type"] == "localize.retrieval.faiss_vectors.FaissPq"
    assert record_from_json(stored) == ranking
    assert record_from_json(stored | {"record": "localize.retrieval.faiss_vectors:FaissPqRanking"}) == ranking


def test_the_key_is_that_of_before(monkeypatch):
    monkeypatch.setattr(Restrictions, "LIBRARIES", ())  # their versions are those of this machine
    assert key_of(ExactRanking()) == "04d75f3c576a6a01"
    assert key_of(FaissPqRanking()) == "821da40ecdf0a1ca"


def test_a_field_that_is_gone_is_part_of_the_key_and_may_be_stored():
    compact = Compact()
    assert describe(compact)["one_pass"] is False
    stored = record_to_json(compact)
    fields = stored["fields"]
    assert "one_pass" not in fields
    assert record_from_json(stored | {"fields": fields | {"one_pass": False}}) == compact
    with pytest.raises(StoreError, match="has other fields than when it was stored"):
        record_from_json(stored | {"fields": fields | {"one_pass": True}})


def test_what_was_stored_before_a_field_came_is_what_it_was():
    sift = Sift(detector="pycolmap")
    assert "detector" not in describe(sift)
    assert describe(Sift())["detector"] == "numba"
    stored = record_to_json(sift)
    del stored["fields"]["detector"]
    assert record_from_json(stored) == sift
