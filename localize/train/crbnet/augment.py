"""Patches as they might have looked: turned, in other light, blurred, noisy. All of a batch at once, on its device."""

import math

import torch

GAMMA = 2.2  # the exponent lies between its inverse and it
SHADING = 0.6  # how much brighter or darker one border gets than the middle
BLUR = 0.25  # weight of each neighbour in the kernel (w, 1 - 2 w, w), once in each direction
NOISE = 16.0  # standard deviation, grey values of 255


def turned(patches: torch.Tensor, how: torch.Tensor) -> torch.Tensor:
    """Patches (N, S, S), each by one of the eight symmetries of the square, `how` (N,) of 0 ... 7."""
    bits = [(how >> k & 1).bool()[:, None, None] for k in range(3)]
    patches = torch.where(bits[0], patches.transpose(1, 2), patches)
    patches = torch.where(bits[1], patches.flip(2), patches)
    return torch.where(bits[2], patches.flip(1), patches)


def changed_light(patches: torch.Tensor, share: float, random: torch.Generator) -> torch.Tensor:
    """Patches (N, S, S) float32 of 0 ... 255; about `share` of them changed, each in its own way.

    From black to white, then gamma, a gradient of light, blur and noise, in the order in which a camera has them.
    """
    n, side = patches.shape[:2]

    def draw(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand((n, 1, 1), generator=random, device=patches.device)

    low, high = patches.amin((1, 2), keepdim=True), patches.amax((1, 2), keepdim=True)
    x = (patches - low) / (high - low).clamp(min=1)
    x = x.clamp(min=1e-6) ** torch.exp(draw(-math.log(GAMMA), math.log(GAMMA)))
    across = torch.linspace(-1, 1, side, device=patches.device)
    angle, strength = draw(0, 2 * math.pi), draw(0, SHADING)
    x = x * (1 + strength * (torch.cos(angle) * across + torch.sin(angle) * across[:, None]))
    weight = draw(0, BLUR)
    for dim in (1, 2):
        x = (1 - 2 * weight) * x + weight * (_shifted(x, dim, 1) + _shifted(x, dim, -1))
    noise = torch.randn(x.shape, generator=random, device=patches.device)
    x = 255 * x + draw(0, NOISE) * noise
    return torch.where(draw(0, 1) < share, x, patches)


def _shifted(x: torch.Tensor, dim: int, by: int) -> torch.Tensor:
    """x moved by one along a dimension, the border repeated."""
    n = x.shape[dim]
    if by > 0:
        return torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, n - 1)], dim)
    return torch.cat([x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)], dim)
