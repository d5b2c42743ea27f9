"""Deformable convolution (Dai et al. 2017; with masks, Zhu et al. 2019) in plain torch, where torchvision is not."""

import torch
from torch.nn.functional import grid_sample


def deform_conv2d(input, offset, weight, bias=None, stride=1, padding=0, dilation=1, mask=None):
    """What torchvision.ops.deform_conv2d of the same arguments gives, for one group of channels and of offsets.

    input: (B, C, H, W). offset: (B, 2 K, h, w) in px, y before x for each of the K taps, row by row. weight:
    (O, C, kh, kw), K = kh kw. mask: (B, K, h, w), a factor of each tap. Returns (B, O, h, w). Bilinear, zero outside.
    """
    b, c, height, width = input.shape
    o, of, kh, kw = weight.shape
    taps, (h, w) = kh * kw, offset.shape[2:]
    if of != c or offset.shape[1] != 2 * taps:
        raise NotImplementedError("deform_conv2d with groups of channels or of offsets")
    (sy, sx), (py, px), (dy, dx) = (_pair(v) for v in (stride, padding, dilation))
    like = {"dtype": input.dtype, "device": input.device}
    ky, kx = (torch.arange(n, **like) * d - p for n, d, p in ((kh, dy, py), (kw, dx, px)))
    offset = offset.view(b, taps, 2, h, w)
    y = ky.repeat_interleave(kw)[:, None, None] + torch.arange(h, **like)[:, None] * sy + offset[:, :, 0]
    x = kx.repeat(kh)[:, None, None] + torch.arange(w, **like) * sx + offset[:, :, 1]
    # With aligned corners -1 and 1 are the centres of the first and the last pixel; a side of one pixel has no length.
    grid = torch.stack([x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1], -1)
    sampled = grid_sample(input, grid.view(b, taps * h, w, 2), align_corners=True).view(b, c, taps, h * w)
    if mask is not None:
        sampled = sampled * mask.view(b, 1, taps, h * w)
    out = weight.reshape(o, c * taps) @ sampled.view(b, c * taps, h * w)
    out = out.view(b, o, h, w)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)
