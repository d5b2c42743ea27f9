"""Tables 1 to 4 of the deep spatial matching paper: our descriptors and re-rankers beside the published figures."""

import pathlib
from collections.abc import Callable

from localize.evaluate.published import read_revisited_tables
from localize.pipelines.revisited_tables import (
    Contender,
    Job,
    check_contenders,
    notes_of,
    sets_of,
    table_of,
    write_tables,
)
from localize.retrieval.base import GlobalDescriptor, Reranker
from localize.retrieval.compact import Compact
from localize.retrieval.gem import Gem
from localize.retrieval.reranking.diffusion import Diffusion
from localize.retrieval.reranking.dsm import Dsm
from localize.roles import Components
from localize.store import Store

SCALES = (1.0, 0.7071, 0.5)  # the paper's
OWN = "4"  # the table that holds our descriptors which no table has
WITHOUT = (
    "Published only: ResNet-101 (R), and networks retrained for retrieval (*, V-MAC, V-GeM, R-GeM, R-RMAC): no weights "
    "of theirs are read here. pipeline.descriptors takes your own, and puts one beside the published row of its name."
)


def _dsm(retrieval: GlobalDescriptor) -> Dsm:
    """Regions of the maps that the descriptor pools, as in the paper; of the compact ones where it pools none."""
    if not isinstance(retrieval, Gem):
        return Dsm()
    shared = ("backbone", "weights", "max_edge_px", "stage", "preprocessing", "precision")
    return Dsm(**{name: getattr(retrieval, name) for name in shared})


RERANKINGS: dict[str, Callable[[GlobalDescriptor], tuple[Reranker, ...]]] = {  # by what follows a descriptor's name
    "": lambda retrieval: (),
    "+DSM": lambda retrieval: (_dsm(retrieval),),
    "+D": lambda retrieval: (Diffusion(),),
    "+DSM+D": lambda retrieval: (_dsm(retrieval), Diffusion(seeds="verified")),
}
OURS = (
    Contender("V", Gem(backbone="vgg16", scales=SCALES)),
    Contender("R50-GeM", Gem(scales=SCALES)),
    Contender("compact", Compact()),
)


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    oxford: str | None = None,
    paris: str | None = None,
    distractors: str | None = None,
    descriptors: tuple = OURS,
    **components,
) -> str:
    """The tables as text; `output` gets tableN.txt, .md, .csv and .tex, tables.json, and what each evaluation leaves.

    oxford, paris: folders, None takes those in $LOCALIZE_DATA; distractors: the folder revisitop1m. Every descriptor
    is judged alone and with each of RERANKINGS, on what there is: rows and columns without data or weights say so. A
    row that fails is logged as an error, and the others go on.
    """
    use = Components(**components)
    check_contenders(use, descriptors, "dsm")
    sets, lacking = sets_of(oxford, paris, distractors)
    job = Job(sets, lacking, store, pathlib.Path(output), use, {"workers": workers, "progress": progress})
    outcomes = job.outcomes(descriptors, RERANKINGS)
    papers = read_revisited_tables("dsm")
    known = {name for paper in papers.values() for name in paper.rows}
    made = {}
    for number, paper in papers.items():
        ours = {m: o for m, o in outcomes.items() if m in paper.rows or (number == OWN and m not in known)}
        shown = [c for c in descriptors if any(c.name + suffix in ours for suffix in RERANKINGS)]
        made[number] = table_of(paper, ours, [*notes_of(shown, sets, lacking), *paper.notes, WITHOUT])
    return write_tables(pathlib.Path(output), made)
