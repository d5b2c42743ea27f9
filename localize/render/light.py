"""The light of each condition: sun and sky, overcast sky, or street lamps and lit windows; and what the camera adds."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """Emitters of one condition and the camera's reaction to them."""

    name: str
    sun_deg: tuple[float, float] | None = None  # azimuth from east, elevation
    sun: float = 0.0  # irradiance of the sun, in units of the scene
    sky: float = 0.0
    overcast: bool = False
    lamps: bool = False
    windows: bool = False
    wet: bool = False
    haze_per_m: float = 0.0
    exposure: float = 0.22  # what the picture's middle brightness becomes, linear
    noise: float = 0.0008  # standard deviation of the sensor at black, linear
    shot: float = 0.00008  # variance per unit of light
    streaks: bool = False
    filter_steps: tuple[int, ...] = (1, 2, 4)  # how far the denoising reaches, in pixels
    samples: int = 1  # times the usual number of paths
    window_rgb: tuple[float, float, float] = (0.7, 0.5, 0.26)
    globe_rgb: tuple[float, float, float] = (40.0, 31.0, 18.0)
    lamp_watt: tuple[float, float, float] = (16.0, 11.5, 6.0)

    def sun_emitters(self) -> dict:
        """The sun alone."""
        rgb = (self.sun * np.array([1.0, 0.9, 0.76])).tolist()
        direction = (-self.to_sun).tolist()
        return {"sun": {"type": "directional", "direction": direction, "irradiance": {"type": "rgb", "value": rgb}}}

    def soft_emitters(self, mi, lamps: np.ndarray) -> dict:
        """Sky and lamps by name."""
        turn = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
        out = {"sky": {"type": "envmap", "bitmap": mi.Bitmap(self.dome()), "to_world": turn}}
        if self.lamps:
            power = {"type": "rgb", "value": list(self.lamp_watt)}
            for i, (x, y, z) in enumerate(lamps.tolist()):
                out[f"light{i}"] = {"type": "point", "position": [x, y, z + 0.65], "intensity": power}
        return out

    @property
    def to_sun(self) -> np.ndarray:
        """Unit vector to the sun."""
        a, e = np.radians(self.sun_deg)
        return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])

    def dome(self) -> np.ndarray:
        """The sky's radiance (64, 128, 3) float32, rows from the zenith down, columns as Mitsuba's envmap turned z up.

        Clear: deep above, pale at the horizon, brighter around the sun. Overcast: three times brighter above than at
        the horizon (CIE). Night: the glow of a town at the horizon.
        """
        elevation = np.linspace(np.pi / 2, -np.pi / 2, 64)[:, None]
        u = (np.arange(128) + 0.5)[None] / 128 * 2 * np.pi
        up = np.maximum(np.sin(elevation), 0) + 0 * u
        pale = ((1 - up) ** 3)[..., None]
        if self.overcast:
            rgb = ((1 + 2 * up) / 3)[..., None] * np.array([0.95, 0.98, 1.0])
        elif self.sun_deg:
            rgb = (1 - pale) * np.array([0.30, 0.52, 1.0]) + pale * np.array([0.95, 1.05, 1.15])
            # Mitsuba's column u looks along (sin u, up, -cos u); turned by 90 deg about x that is (sin u, cos u, up)
            away = np.cos(elevation) * (np.sin(u) * self.to_sun[0] + np.cos(u) * self.to_sun[1]) + up * self.to_sun[2]
            rgb = rgb * (1 + 1.2 * np.maximum(away, 0)[..., None] ** 8)
        else:
            rgb = (0.5 + 0.8 * pale) * np.array([0.55, 0.65, 1.0])
        return (self.sky * rgb).astype(np.float32)


LIGHTS = {
    "db": Light("db", (-122.0, 47.0), sun=6.0, sky=0.6),
    "day": Light("day", (-78.0, 52.0), sun=6.0, sky=0.62),
    "viewpoint": Light("viewpoint", (-150.0, 40.0), sun=5.6, sky=0.6),
    "night": Light("night", None, sky=0.012, lamps=True, windows=True, exposure=0.065, noise=0.002, shot=0.0003,
                   samples=3, filter_steps=(1, 2, 4, 8)),
    "rain": Light("rain", None, sky=1.0, overcast=True, wet=True, haze_per_m=0.006, exposure=0.22, streaks=True,
                  noise=0.001, shot=0.0001),
}  # fmt: skip
