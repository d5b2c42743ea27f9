"""Tables of spatial context: what the slides and the methods they build on published, and our HOW beside them."""

import pathlib
from collections.abc import Callable
from dataclasses import replace

from localize.evaluate.published import read_revisited_tables
from localize.pipelines.revisited_tables import (
    Contender,
    Job,
    Outcome,
    check_contenders,
    notes_of,
    sets_of,
    table_of,
    write_tables,
)
from localize.retrieval.base import GlobalDescriptor, Reranker
from localize.retrieval.how import SCALES, How
from localize.retrieval.reranking.asmk import Asmk
from localize.roles import Components
from localize.store import Store

SMOOTHING, BASES, LOST = "1", "2", "3"  # the tables
ROXFORD = "ROxf mAP"  # the column of SMOOTHING that ours can fill
CORLOC = "no data set with boxes is read here, and no ViT; docs/objects.md has what find_object finds"


def _asmk(retrieval: GlobalDescriptor) -> tuple[Reranker, ...] | None:
    """All references by ASMK, at HOW's scales, as its authors search; none of another descriptor."""
    return (Asmk(how=replace(retrieval, scales=SCALES), num_verified=None),) if isinstance(retrieval, How) else None


RERANKINGS: dict[str, Callable[[GlobalDescriptor], tuple[Reranker, ...] | None]] = {
    "": lambda retrieval: (),
    "+ASMK": _asmk,
}
OURS = (
    Contender("HOW R50v2 (none)", How(smoothing="none")),
    Contender("HOW R50v2 (average)", How(smoothing="average")),
    Contender("HOW compact (none)", How(backbone="compact", smoothing="none")),
    Contender("HOW compact (average)", How(backbone="compact", smoothing="average")),
)
OF_OURS = (
    "Ours: the word in brackets is the smoothing; without +ASMK the sum of a photo's features is compared, with it "
    "all references are searched by visual words, at seven scales, as HOW's authors do."
)
SETUP = f"{ROXFORD}, ours: medium, once; the slides name no setup."


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    oxford: str | None = None,
    paris: str | None = None,
    descriptors: tuple = OURS,
    **components,
) -> str:
    """The tables as text; `output` gets tableN.txt, .md, .csv and .tex, tables.json, and what each evaluation leaves.

    oxford, paris: folders, None takes those in $LOCALIZE_DATA. Every descriptor is judged alone and with each of
    RERANKINGS, on what there is: rows without data or weights say so. A row that fails is logged as an error, and the
    others go on.
    """
    use = Components(**components)
    check_contenders(use, descriptors, "spatial_context")
    sets, lacking = sets_of(oxford, paris, many=False)
    job = Job(sets, lacking, store, pathlib.Path(output), use, {"workers": workers, "progress": progress})
    outcomes = job.outcomes(descriptors, RERANKINGS)
    papers, notes = read_revisited_tables("spatial_context"), [*notes_of(descriptors, sets, lacking), OF_OURS]
    ours = {
        SMOOTHING: {name: _on_oxford(outcome) for name, outcome in outcomes.items()},
        BASES: outcomes,
        LOST: {"LOST": Outcome(missing="no data", reason=CORLOC)},
    }
    said = {SMOOTHING: [SETUP, *notes], BASES: notes, LOST: []}
    tables = {n: table_of(paper, ours[n], [*paper.notes, *said[n]]) for n, paper in papers.items()}
    return write_tables(pathlib.Path(output), tables)


def _on_oxford(outcome: Outcome) -> Outcome:
    """What of an outcome the slides' table has a column for."""
    medium = outcome.cells.get("ROxf M")
    return replace(outcome, cells={} if medium is None else {ROXFORD: medium})
