"""The indexes that can be compared, by name, and the settings that may be written behind a name."""

import ast
import dataclasses

from localize.components import check_component
from localize.evaluate.search_curves import Contender
from localize.index.exact import Exact
from localize.index.faiss_binary import FaissBinary
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.faiss_pq import FaissIvfPq
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.types import InputError

PROBES = (1, 2, 4, 8, 16, 32, 64, 128)
WIDTHS = (16, 32, 64, 128, 256, 512)
KNOWN = {  # name: component, its swept field, values
    "trees": (RandomTrees(), "budget", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "literal": (LiteralTrees(), "num_leaves", (10, 25, 50, 100, 200, 400)),
    "exact": (Exact(device="cpu"), "precision", ("auto",)),
    "flat": (FaissFlat(), "num_neighbours", (100,)),
    "hnsw": (FaissHnsw(), "ef_search", WIDTHS),
    "hnsw_sq8": (FaissHnsw(code="sq8"), "ef_search", WIDTHS),
    "ivf": (FaissIvf(), "num_probes", PROBES),
    "ivf_sq8": (FaissIvf(code="sq8"), "num_probes", PROBES),
    "ivf_pq": (FaissIvfPq(), "num_probes", PROBES),
    "binary_ivf": (FaissBinary(), "num_probes", PROBES),
    "binary_hnsw": (FaissBinary("hnsw"), "ef_search", WIDTHS),
    "multihash": (FaissBinary("multihash"), "num_flips", (0, 1, 2)),
}


def read_contenders(asked) -> tuple[list[Contender], set[str]]:
    """The contenders in order, and the names of those that see the means only."""
    if not isinstance(asked, list | tuple) or not asked or not all(isinstance(a, str) and a.strip() for a in asked):
        raise InputError(f"pipeline.contenders is {asked!r}, but must be a list of names: [trees,ivf_pq,hnsw]")
    problems, chosen, means_only = [], [Contender("flat", *KNOWN["flat"])], set()
    for text in asked:
        name, *settings = text.split()
        if name not in KNOWN:
            problems.append(f"there is no contender {name!r} in pipeline.contenders; valid: {', '.join(KNOWN)}")
            continue
        if text == "flat":
            continue
        try:
            contender, only = _with_settings(text, *KNOWN[name], settings)
        except InputError as e:
            problems += [f"contender {text!r}: {problem}" for problem in e.problems]
            continue
        chosen.append(contender)
        means_only |= {contender.name} if only else set()
    if problems:
        raise InputError(*problems)
    return chosen, means_only


def _with_settings(name: str, component, swept: str, values: tuple, settings: list[str]) -> tuple[Contender, bool]:
    """The contender, and whether it sees the means only."""
    fields = {f.name: f for f in dataclasses.fields(component)}
    changed, only = {}, False
    for setting in settings:
        key, _, text = setting.partition("=")
        if setting == "of=mean":
            only = True
            continue
        if key not in fields:
            raise InputError(f"{type(component).__name__} has no field {key!r}; it has {', '.join(fields)}")
        given = tuple(_value(v) for v in text.split(","))
        if fields[key].metadata.get("query") and (len(given) > 1 or key == swept):
            swept, values = key, given
        else:
            changed[key] = given[0]
    made = dataclasses.replace(component, **changed)
    for value in values:
        check_component(dataclasses.replace(made, **{swept: value}))
    return Contender(name, made, swept, values), only


def _value(text: str):
    """A number, a truth value or None where the text is one, else the text."""
    words = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
