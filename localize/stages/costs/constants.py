"""What cannot be tried beforehand: seconds and bytes of an item, as they were measured.

Measured on two cores of an AMD EPYC with AVX-512, with the runs of benchmarks/estimate_against_run.py (Minitown,
Herz-Jesu-P25, RedKitchen; SIFT and CRBNet), benchmarks/city_scale.py for maps of millions of points. Seconds are
multiplied by `Machine.slowness`.
"""

START_S = 3.0  # of worker processes
LEARN_S = 1.0  # of a global descriptor, besides a look at every reference
LEARNED_FROM = 1000  # references at most

AGREEING = 0.33  # of a pair's matches, the observations they bring to each of the two photos, until all are taken
TRACK = 3.0  # observations of a point
MATCHED = 0.2  # of a query's keypoints

MAP_S = 20e-6  # an observation, triangulated
IMPORT_S = 4e-6  # an observation of a supplied model
ROWS_S = 4e-3  # a reference
INDEX_S = 0.2, 11e-6  # an index, and each point
LEAF_S = 16e-6, 12e-12  # a keypoint's search in the leaves, and more of it for each point of the map
FRAME_S = 0.8e-9  # a keypoint's comparison with an observation in a frame
QUERY_S = 0.01  # a query's search, besides
POSE_S = 0.05
BY_INDEX = {  # class: (building, asking), as often as the default index
    **{"LiteralTrees": (10, 17), "FaissIvfPq": (10, 3), "FaissHnsw": (30, 24), "FaissIvf": (5, 6)},
    **{"FaissFlat": (0.1, 60), "Exact": (0.1, 60), "FaissBinary": (1, 6)},
}

WORKER_MB = 600  # of memory, a worker process that extracts features, where none was tried

BLOCK, AT_ONCE = 500_000, 8  # observations triangulated on a core, and cores, see mapping/triangulation.py
BLOCK_BYTES, MAP_BYTES = 850, 85  # of memory, an observation in such a block, and any
IMPORT_BYTES = 120  # the same, of a supplied model
ROWS_BYTES = 40  # an observation, whose descriptor goes into a file
MAPPED = 0.5  # of the free memory: most that is counted of a mapped file, whose pages the system takes back
INDEX_BYTES = 1300  # a point, while the index is built
HELD_MB = 256  # of features and matches at once: what is kept at hand, and what is being written
VECTORS_MB = 1024  # of global descriptors; more lie in a file

PAIR_DISK = 1800, 8  # bytes of a pair, and of each match
MAP_DISK = 25  # an observation
MATCH_DISK, POSE_DISK = 44, 4000  # a match of a query; a pose
MODEL_TEXT, MODEL_BINARY = 26, 12  # bytes of a supplied model's files for an observation: NVM; COLMAP
