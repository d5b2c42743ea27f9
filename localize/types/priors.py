"""What a query may know about itself before any match is made."""

import math
from dataclasses import dataclass

import numpy as np

from localize.types.checks import check_array, check_finite

DOWN = (0.0, 0.0, -1.0)
FOCAL = ("given", "guessed", "unknown")


@dataclass(frozen=True, eq=False)
class Prior:
    """Each part is optional; a part that contradicts the matches is said to, and not believed."""

    gravity: np.ndarray | None = None  # (3,) direction of gravity, down, in the camera's frame (x right, y down)
    gravity_deg: float = 2.0  # its standard deviation
    gravity_in_world: np.ndarray = DOWN  # (3,) the same direction in the map's frame
    position: np.ndarray | None = None  # (3,) camera centre in the map's frame, m
    radius_m: float | None = None  # the centre lies within this distance of it (two standard deviations)
    covariance: np.ndarray | None = None  # (3, 3) m^2 of the position, in place of the radius
    focal: str = "given"  # or guessed (may be far off) or unknown: estimated with the pose

    def __post_init__(self):
        for name in ("gravity", "gravity_in_world", "position"):
            if getattr(self, name) is not None:
                check_array(self, name, np.float64, (3,))
                check_finite(self, name)
        for name in ("gravity", "gravity_in_world"):
            vector = getattr(self, name)
            if vector is not None:
                length = np.linalg.norm(vector)
                if length < 1e-9:
                    raise ValueError(f"Prior.{name} has no direction: {vector.tolist()}")
                object.__setattr__(self, name, vector / length)
        if self.covariance is not None:
            check_array(self, "covariance", np.float64, (3, 3))
            check_finite(self, "covariance")
            if np.linalg.eigvalsh(self.covariance).min() <= 0:
                raise ValueError("Prior.covariance must be positive definite")
        if self.position is not None and self.radius_m is None and self.covariance is None:
            raise ValueError("Prior.position needs a radius_m or a covariance: how far from it may the camera be?")
        if self.focal not in FOCAL:
            raise ValueError(f"Prior.focal is {self.focal!r}, but must be one of: {', '.join(FOCAL)}")
        if not 0 < self.gravity_deg <= 180 or (self.radius_m is not None and not 0 < self.radius_m < math.inf):
            raise ValueError("Prior.gravity_deg and Prior.radius_m must be finite and greater than 0")

    @property
    def parts(self) -> frozenset[str]:
        """Which of gravity, position and focal it speaks of."""
        known = {"gravity": self.gravity is not None, "position": self.position is not None}
        return frozenset(n for n, there in (known | {"focal": self.focal != "given"}).items() if there)

    @property
    def position_covariance(self) -> np.ndarray:
        """(3, 3) m^2 of the position; a radius is two standard deviations in every direction."""
        return self.covariance if self.covariance is not None else (self.radius_m / 2) ** 2 * np.eye(3)

    @property
    def reach_m(self) -> float:
        """The radius, m; of a covariance two standard deviations along its longest axis."""
        return self.radius_m if self.covariance is None else float(2 * np.sqrt(np.linalg.eigvalsh(self.covariance)[-1]))
