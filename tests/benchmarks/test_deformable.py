"""The stand-in for torchvision's deformable convolution, against one literal loop."""

import itertools
import math

import torch

from benchmarks.deformable import deform_conv2d


def at(plane, y, x):
    """A plane (H, W) at a position in px, bilinear, zero outside."""
    found = 0.0
    for row, column in itertools.product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
            found += float(plane[row, column]) * (1 - abs(y - row)) * (1 - abs(x - column))
    return found


def test_deformable_convolution_is_what_a_loop_over_taps_gives():
    torch.manual_seed(0)
    stride, padding, dilation, size, (kh, kw) = (2, 1), (1, 2), (1, 2), (7, 9), (3, 2)
    h, w = 4, 11  # (size + 2 padding - dilation (taps - 1) - 1) // stride + 1
    photo, weight, bias = (torch.randn(s, dtype=torch.float64) for s in ((2, 2, *size), (2, 2, kh, kw), (2,)))
    offset = torch.randn(2, 2 * kh * kw, h, w, dtype=torch.float64) * 3  # some fall outside
    mask = torch.rand(2, kh * kw, h, w, dtype=torch.float64)
    planes, kernel, off, factor = (tensor.numpy() for tensor in (photo, weight, offset, mask))  # quicker in a loop
    expected = bias.view(1, 2, 1, 1).repeat(2, 1, h, w).numpy()
    for b, o, c, i, j, u, v in itertools.product(*(range(n) for n in (2, 2, 2, h, w, kh, kw))):
        tap = u * kw + v
        y = i * stride[0] - padding[0] + u * dilation[0] + off[b, 2 * tap, i, j]
        x = j * stride[1] - padding[1] + v * dilation[1] + off[b, 2 * tap + 1, i, j]
        expected[b, o, i, j] += kernel[o, c, u, v] * factor[b, tap, i, j] * at(planes[b, c], y, x)
    found = deform_conv2d(photo, offset, weight, bias, stride, padding, dilation, mask)
    torch.testing.assert_close(found, torch.from_numpy(expected))
    whole = deform_conv2d(photo, torch.zeros(2, 2 * kh * kw, 6, 10, dtype=torch.float64), weight, padding=1)
    torch.testing.assert_close(whole, torch.nn.functional.conv2d(photo, weight, padding=1)[:, :, :6, :10])
