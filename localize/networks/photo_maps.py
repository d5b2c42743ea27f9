"""Maps of whole photos by a backbone, in the precision and layout that are fastest where they are made."""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate, pad

from localize.networks.inference import computes_bfloat16, device_for, folded

MIN_SIDE_PX = 67  # smaller images are filled up with zeros below and to the right, as DSM's code does


def prepared(network: nn.Module, precision: str = "auto", device: str | None = None) -> nn.Module:
    """A copy in eval mode, channels last, whose convolutions compute in this precision; the photo stays in float32.

    precision auto: bfloat16 where the device computes in it, else float32. device: None takes the GPU if there is one.
    """
    device = device_for(device)
    network = folded(network).to(device)
    if precision == "bfloat16" or (precision == "auto" and computes_bfloat16(device)):
        for name, part in network.named_modules():
            if isinstance(part, nn.Conv2d | nn.BatchNorm2d) and name != "batchnorm0":  # that one sees the photo
                part.to(torch.bfloat16)
    return network.to(memory_format=torch.channels_last).requires_grad_(False)


@torch.inference_mode()
def photo_maps(network: nn.Module, photo: np.ndarray, scales: tuple[float, ...] = (1.0,)) -> list[torch.Tensor]:
    """Maps (1, C, h, w) float32 of a photo (H, W, 3), 0 to 255, at each scale; bilinear, as cirtorch's code does it."""
    device = next(network.parameters()).device
    image = torch.tensor(photo, dtype=torch.float32, device=device).permute(2, 0, 1)[None]
    found = []
    for scale in scales:
        level = image
        if scale != 1:
            size = [max(1, int(side * scale)) for side in image.shape[2:]]
            level = interpolate(image, size=size, mode="bilinear", align_corners=False)
        missing = [max(0, MIN_SIDE_PX - side) for side in level.shape[2:]]
        level = pad(level, (0, missing[1], 0, missing[0]))
        found.append(network(level.contiguous(memory_format=torch.channels_last)).float())
    return found
