"""Features of others and weights that `fuzz.py` harms."""

import pathlib
import shutil

import h5py
import numpy as np
from fuzz_kind import NAMES, SIZE, Kind


def _features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    d = rng.normal(size=(40, 16)).astype(np.float32)
    return rng.uniform(0, 60, (40, 2)).astype(np.float32), d / np.linalg.norm(d, axis=1, keepdims=True)


def _arrays(features) -> list:
    return [features.keypoints, features.descriptors, features.scores]


def _make_npz(folder):
    xy, d = _features()
    np.savez_compressed(folder / "a.jpg.npz", keypoints=xy, descriptors=d, scores=np.ones(40))
    return folder / "a.jpg.npz"


def _read_npz(folder):
    from localize.io.given.npz import read_npz_features

    return _arrays(read_npz_features(folder, "a.jpg", *SIZE))


def _make_hloc(folder):
    xy, d = _features()
    with h5py.File(folder / "a.h5", "w") as f:
        for name in NAMES[:2]:
            group = f.create_group(name)
            group["keypoints"], group["descriptors"], group["scores"] = xy, d.T, np.ones(40)
            group["image_size"], group["global_descriptor"] = SIZE, d[0]
    return folder / "a.h5"


def _read_hloc(folder):
    from localize.io.given.hloc import read_global_descriptor, read_local_features

    path = folder / "a.h5"
    return [[*_arrays(read_local_features(path, n, *SIZE)), read_global_descriptor(path, n)] for n in NAMES[:2]]


def kapture(harmed: str) -> Kind:
    """One of the files of a kapture folder."""

    def make(folder):
        xy, d = _features()
        for what, ending, rows in (("keypoints", "kpt", xy), ("descriptors", "desc", d)):
            inner = folder / "reconstruction" / what / "sift"
            inner.mkdir(parents=True, exist_ok=True)
            (inner / f"{what}.txt").write_text(f"# kapture format: 1.1\nsift, float32, {rows.shape[1]}, sift, L2\n")
            (inner / f"a.jpg.{ending}").write_bytes(rows.tobytes())
        return folder / "reconstruction" / harmed

    def read(folder):
        from localize.io.given.kapture import read_kapture_features

        return _arrays(read_kapture_features(folder, "a.jpg", *SIZE))

    return Kind(f"kapture {pathlib.PurePath(harmed).suffix}", make, read, text=harmed.endswith("txt"))


def _network():
    import torch

    from localize.networks.patches import TFeat

    torch.manual_seed(0)
    return TFeat()


def _make_pth(folder):
    import torch

    torch.save(_network().state_dict(), folder / "a.params")
    return folder / "a.params"


def _read_pth(folder):
    from localize.weights.patches import load_tfeat

    return {n: t.numpy() for n, t in load_tfeat(folder / "a.params").state_dict().items()}


def _make_safetensors(folder):
    from localize.weights.shipped import FOLDER

    return pathlib.Path(shutil.copy(FOLDER / "crbnet256_lite.safetensors", folder / "a.safetensors"))


def _read_safetensors(folder):
    from localize.weights.patches import load_weights

    network, metadata = load_weights(folder / "a.safetensors")
    return [metadata, {n: t.detach().numpy() for n, t in network.state_dict().items()}]


def _make_whitening(folder):
    from localize.weights.whitening import write_whitening

    rng = np.random.default_rng(0)
    write_whitening(folder / "w.safetensors", rng.normal(size=8), rng.normal(size=(4, 8)), "{}")
    return folder / "w.safetensors"


def _read_whitening(folder):
    from localize.weights.whitening import read_whitening

    return read_whitening(folder / "w.safetensors")


def _make_mat(folder, packed=True):
    import scipy.io

    layer = {"weights": np.empty(2, object), "type": "conv"}
    layer["weights"][:] = [np.random.default_rng(0).normal(size=(3, 3, 3, 8)), np.zeros(8)]
    layers = np.empty(3, object)
    layers[:] = [layer] * 3
    net = {"layers": layers, "meta": {"normalization": {"averageImage": np.zeros((1, 1, 3))}}}
    scipy.io.savemat(folder / "a.mat", {"net": net}, do_compression=packed)
    return folder / "a.mat"


def _read_mat(folder):
    from localize.weights.netvlad import load_netvlad

    load_netvlad(folder / "a.mat")


FEATURES_AND_WEIGHTS = (
    Kind("features npz", _make_npz, _read_npz, checksum=True), Kind("features hloc", _make_hloc, _read_hloc),
    *(kapture(f"{what}/sift/{name}") for what, name in (
        ("keypoints", "keypoints.txt"), ("keypoints", "a.jpg.kpt"), ("descriptors", "a.jpg.desc"))),
    Kind("weights safetensors", _make_safetensors, _read_safetensors),
    Kind("weights whitening", _make_whitening, _read_whitening), Kind("weights pth", _make_pth, _read_pth),
    Kind("weights mat packed", _make_mat, _read_mat),
    Kind("weights mat", lambda folder: _make_mat(folder, False), _read_mat),
)  # fmt: skip
