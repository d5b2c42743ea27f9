"""The roles of a pipeline: for each its protocols, and the component that takes it by default. The one list of them."""

import typing
from dataclasses import dataclass, fields

from localize.components import asked_by, suited
from localize.features.base import LocalFeature, StoredFeature
from localize.features.sift_crbnet import SiftCrbnet
from localize.index.base import Index
from localize.index.random_trees import RandomTrees
from localize.io.benchmarks.submission import SubmissionFile
from localize.mapping.base import MapImport, Mapping
from localize.mapping.triangulation import Triangulation
from localize.matching.base import PairMatcher, PointMatcher
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.pose.base import PoseEstimator
from localize.pose.poselib import PoseLib
from localize.pose.refinement.base import Refinement
from localize.pose.refinement.guided import Guided
from localize.reconstruction.base import Reconstruction
from localize.reconstruction.sfm import StructureFromMotion
from localize.retrieval.base import NEEDS, GivenRanking, GlobalDescriptor, Ranking, RerankedRanking, StoredDescriptor
from localize.retrieval.exact import ExactRanking
from localize.retrieval.fusion import Fusion
from localize.search.base import FrameSearch, Search
from localize.search.prior import Union
from localize.types import InputError


@dataclass(frozen=True)
class Components:
    """One component per role. Thresholds that nobody set are those that suit the feature."""

    feature: LocalFeature | StoredFeature = SiftCrbnet()
    retrieval: GlobalDescriptor | StoredDescriptor | GivenRanking = Fusion()
    ranking: Ranking = ExactRanking()
    pair_matching: PairMatcher = MutualNearest()
    reconstruction: Reconstruction = StructureFromMotion()
    mapping: Mapping | MapImport = Triangulation()
    index: Index = RandomTrees()
    search: Search = Union()
    matching: PointMatcher = RatioTest()
    pose: PoseEstimator = PoseLib()
    refinement: Refinement = Guided()
    submission: SubmissionFile = SubmissionFile()

    def __post_init__(self):
        for role in ROLES:
            object.__setattr__(self, role, suited(getattr(self, role), self.feature))
        if self.submission.fallback and not self.search.uses_frames:
            raise InputError(
                "submission.fallback=top_frame takes the most similar reference, but this search retrieves none: "
                "take search=union or search=frames"
            )

        if (
            isinstance(self.retrieval, GivenRanking)
            and isinstance(self.ranking, RerankedRanking)
            and self.ranking.rerank
        ):
            raise InputError(
                "a list of pairs is taken in its order, so nothing is re-ranked: leave +reranking out, or take "
                "retrieval=fusion"
            )

    @property
    def compares_photos(self) -> bool:
        """Whether the references' global descriptors are asked for, by the search or to choose the map's pairs."""
        paired = isinstance(self.mapping, Mapping) and self.mapping.pairs == "retrieval"
        return self.search.uses_frames or paired


ROLES: dict[str, tuple[type, ...]] = {  # role: the protocols of which its component has one
    f.name: typing.get_args(f.type) or (f.type,) for f in fields(Components)
}

BUILT_INTO_MAPS = {"feature", "retrieval", "ranking", "index"}  # roles that a saved map cannot change any more
ANSWERING = {
    role: ROLES[role] for role in ROLES if role not in ("pair_matching", "reconstruction", "mapping", "submission")
}
# roles that answer a query; the others only make the map, or write files


def unfit_for_role(role: str, component) -> list[str]:
    """What the component lacks for its role, in a sentence."""
    if role not in ROLES:
        return [
            f"{role} is no role of a pipeline; the roles: {', '.join(ROLES)}. A YAML that belongs into another group "
            "says so in its first line, as conf/reranking/query_expansion.yaml does"
        ]
    name, protocols = type(component).__name__, ROLES[role]
    if isinstance(component, dict):
        return [f"the YAML of this {role} has no _target_, the class that it stands for"]
    if role == "search" and isinstance(component, Search) and component.uses_frames:
        protocols = (FrameSearch,)
    lacking = {p: [n for n in asked_by(p) if not hasattr(component, n)] for p in protocols}
    protocol = min(protocols, key=lambda p: (bool(lacking[p]), len(lacking[p]) - len(asked_by(p))))  # nearest to it
    if lacking[protocol]:
        where = protocol.__module__.replace(".", "/")
        return [f"{name} cannot be a {role}: it has no {', no '.join(lacking[protocol])}; see {where}.py"]
    if protocol is GlobalDescriptor and component.needs not in NEEDS:
        return [f"{name}.needs is {component.needs!r}, but must be one of: {', '.join(NEEDS)}"]
    return []
