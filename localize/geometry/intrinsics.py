"""Whether a camera's intrinsics can be right: what cannot be, what is unlikely, and what was probably meant.

Other tools write the same camera as shares of the size, from the middle of the photo, in millimetres or as an angle.
"""

import functools
from collections.abc import Iterable

import numpy as np

from localize.geometry.colmap import to_pycolmap_camera
from localize.types import Camera, Image

FOCAL = 0.1, 1000.0  # times the longer side: COLMAP's own limit, over which a view of 157 degrees; one of 0.06
UNUSUAL_FOCAL = 0.25, 20.0  # 127 degrees without distortion; 2.9 degrees
UNUSUAL_ASPECT, ASPECT = 1.25, 10.0  # of the focal lengths
NEAR, OFF, FAR = 0.1, 0.25, 10.0  # principal point from the middle, in widths or heights
LOST, MOST_LOST = 0.02, 0.5  # shares of the photo whose pixels have no ray
UNUSUAL_BEND, BEND = 0.7, 0.4  # angle from the axis by that without distortion, in the median over the photo
RIM = 1.5  # focal lengths from the axis: further out a fisheye's picture may end, in the black
_GRID = (np.stack(np.meshgrid(np.arange(16), np.arange(12)), -1).reshape(-1, 2) + 0.5) / (16, 12)


def cameras_of(images: Iterable[Image]) -> dict[str, tuple[list[Image], str | None, str | None]]:
    """Of each distinct camera by a key of it: its images, what cannot be right, and what is unlikely, in words."""
    found = {}
    for image in images:
        key = _key(image.camera)
        if key not in found:
            found[key] = ([], *camera_doubts(image.camera))
        found[key][0].append(image)
    return found


def camera_doubts(camera: Camera) -> tuple[str | None, str | None]:
    """(what cannot be right, what is unlikely) of a camera, each in words that name what was probably meant, or None.

    What no camera has at all, such as a focal length of 0, the record itself refuses.
    """
    return _doubts(*_key(camera))


def _key(camera: Camera) -> tuple:
    return camera.model, camera.width, camera.height, tuple(camera.params.tolist())


@functools.lru_cache(maxsize=1024)
def _doubts(model: str, width: int, height: int, params: tuple) -> tuple[str | None, str | None]:
    camera = Camera(model, width, height, params)
    unlikely = []
    for of in (_focal_lengths, _principal_point, _distortion):
        impossible, doubt = of(camera)
        if impossible:
            return impossible, None
        unlikely += [doubt] if doubt else []
    return None, "; ".join(unlikely) or None


def _focal_lengths(camera: Camera) -> tuple[str | None, str | None]:
    focal, longer = camera.focals_px, max(camera.width, camera.height)
    numbers = " x ".join(f"{f:.6g}" for f in dict.fromkeys(focal))
    said = f"focal length {numbers} px in a photo of {camera.width} x {camera.height} px"
    if not (longer * FOCAL[0] <= focal.min() and focal.max() <= longer * FOCAL[1]):
        return f"{said} cannot be: {_focal_meant(float(focal.min()), camera.width)}", None
    aspect = focal.max() / focal.min()
    if aspect > UNUSUAL_ASPECT:
        if camera.model == "PINHOLE" and np.allclose(camera.params[1:3], _middle(camera), rtol=0.2):
            meant = "these look like the parameters of SIMPLE_RADIAL (f cx cy k)"
        else:
            meant = (
                "pixels are nearly square, so both must be nearly the same; is one for another size, or another unit?"
            )
        return (f"{said}: {meant}", None) if aspect > ASPECT else (None, f"{said}: {meant}")
    wide = focal.min() < longer * UNUSUAL_FOCAL[0] and not to_pycolmap_camera(camera).is_perspective_fisheye()
    if wide or focal.max() > longer * UNUSUAL_FOCAL[1]:
        degrees = np.degrees(2 * np.arctan(longer / 2 / focal.mean()))
        return None, f"{said}, which sees {degrees:.3g} degrees, is unusual: is it in pixels of this size?"
    return None, None


def _focal_meant(focal: float, width: int) -> str:
    """What a number that is no focal length in pixels may be."""
    if focal > width:
        return "give it in pixels of this photo"
    by_angle = width / 2 / np.tan((focal if focal < 3.1 else np.radians(focal)) / 2)
    if focal < 3.1:
        return (
            f"as a share of the width it is {focal * width:.6g} px, of half the width {focal * width / 2:.6g} px, as "
            f"the horizontal angle of view in radians {by_angle:.6g} px: write the one that it is"
        )
    angle = f", as the horizontal angle of view in degrees {by_angle:.6g} px" if 20 < focal < 170 else ""
    return (
        f"as millimetres it is {focal:.6g} / (width of the sensor in mm) x {width} px{angle}: write the one that it is"
    )


def _principal_point(camera: Camera) -> tuple[str | None, str | None]:
    point, size, middle = camera.principal_point, np.array([camera.width, camera.height]), _middle(camera)
    off = np.abs(point - middle) / size
    said = f"principal point {point[0]:.6g} {point[1]:.6g} in a photo of {size[0]} x {size[1]} px"
    if np.abs(point).max() <= 1.5 and size.min() >= 16:
        in_px = f"from the middle it is {_pixels(middle + point)}"
        if point.min() > 0:
            in_px = f"as shares of the size it is {_pixels(point * size)}"
        return f"{said} cannot be: it counts in pixels from the upper-left corner; {in_px}", None
    if off.max() > FAR:
        return f"{said} cannot be: it must lie in the photo or near it, in pixels from the upper-left corner", None
    share = point / size
    if off.max() > NEAR and (np.abs(point[::-1] - middle) / size).max() < off.max() / 3:
        return None, f"{said}: cx and cy look swapped"
    if off.max() > NEAR and np.abs(share / share.mean() - 1).max() < 0.03 and share.min() > 0:
        fits = " x ".join(f"{2 * v:.6g}" for v in point)
        return None, f"{said} fits one of {fits} px: give the parameters for the size of the photo"
    if off.max() > 0.5 - NEAR and np.abs(share).max() < NEAR:
        return None, f"{said} is unusual: from the middle it is {_pixels(middle + point)}"
    return None, f"{said} is unusual: it lies far from the middle" if off.max() > OFF else None


def _middle(camera: Camera) -> np.ndarray:
    return np.array([camera.width, camera.height]) / 2


def _pixels(point: np.ndarray) -> str:
    return f"{point[0]:.6g} {point[1]:.6g}"


def _distortion(camera: Camera) -> tuple[str | None, str | None]:
    """The rays of pixels all over the photo, against those of the same camera without distortion."""
    bent = camera.params[len(camera.focals_px) + 2 :]
    if not len(bent):
        return None, None
    lens, xy = to_pycolmap_camera(camera), _GRID * (camera.width, camera.height)
    radius = np.linalg.norm((xy - camera.principal_point) / camera.focals_px, axis=1)
    xy, radius = xy[radius < RIM], radius[radius < RIM]
    rays = np.asarray(lens.cam_ray_from_img(xy))
    there = np.isfinite(rays).all(1)
    if not len(xy):
        return None, None
    said, lost = f"distortion {' '.join(f'{p:.6g}' for p in bent)} of {camera.model}", 1 - there.mean()
    if lost > LOST:
        where = f"{said} has no ray for {100 * lost:.0f} % of the photo: it is not monotone there"
        return (f"{where}; {_lens_meant(camera)}", None) if lost > MOST_LOST else (None, where)
    straight = radius if lens.is_perspective_fisheye() else np.arctan(radius)
    narrowed = np.median((np.arctan2(np.linalg.norm(rays[:, :2], axis=1), rays[:, 2]) / straight)[there])
    if narrowed < UNUSUAL_BEND:
        where = f"{said} narrows the view to {100 * narrowed:.0f} % of what the focal length says"
        return (f"{where}; {_lens_meant(camera)}", None) if narrowed < BEND else (None, where)
    return None, None


def _lens_meant(camera: Camera) -> str:
    if camera.model == "SIMPLE_RADIAL" and np.allclose(camera.params[2:], _middle(camera), rtol=0.2):
        return "these look like the parameters of PINHOLE (fx fy cx cy)"
    return "its numbers count in focal lengths, not in pixels, in the order of COLMAP's model"
