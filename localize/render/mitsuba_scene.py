"""Light transport: a town under one light, rendered by Mitsuba 3 as linear light and depth. The only user of mitsuba.

Mitsuba 3 (Jakob et al. 2022) is optional: `pip install mitsuba`. Its `llvm` variant is used where LLVM can be
loaded (libLLVM is looked for in the usual places), else the slower `scalar` one.
"""

import ctypes.util
import functools
import glob
import logging
import os

import numpy as np

from localize.render.light import Light
from localize.render.town import Town
from localize.types import InputError, Pose

log = logging.getLogger(__name__)
LLVM_PLACES = ("/usr/lib/llvm-*/lib/libLLVM*.so*", "/usr/lib/*-linux-gnu/libLLVM*.so*", "/usr/lib64/libLLVM*.so*",
               "/usr/local/lib/libLLVM*.so*", "/opt/homebrew/opt/llvm/lib/libLLVM*.dylib")  # fmt: skip
MAX_DEPTH = 4  # light bounces at most three times


@functools.cache
def mitsuba():
    """The module with its variant set; InputError if it is not installed."""
    if "DRJIT_LIBLLVM_PATH" not in os.environ and not ctypes.util.find_library("LLVM"):
        found = sorted(path for pattern in LLVM_PLACES for path in glob.glob(pattern))
        if found:
            os.environ["DRJIT_LIBLLVM_PATH"] = found[-1]
    try:
        import drjit
        import mitsuba as mi
    except ImportError as e:
        raise InputError("mitsuba is not installed: pip install mitsuba") from e
    try:
        mi.set_variant("llvm_ad_rgb")
        drjit.eval(mi.Float([1.0]) + 1)
    except (ImportError, RuntimeError) as e:
        log.warning("LLVM cannot be loaded (%s): rendering with the slower scalar_rgb", e)
        mi.set_variant("scalar_rgb")
    return mi


def versions() -> dict[str, str]:
    """What decides the pictures besides this package."""
    return {"mitsuba": mitsuba().__version__, "numpy": np.__version__}


def _bitmap(mi, pixels: np.ndarray, raw: bool = False):
    return {"type": "bitmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels)), "raw": raw, "format": "fp16"}


def _materials(mi, town: Town, light: Light) -> dict:
    """BSDFs by material name; in rain the ground is wet and everything a little darker."""
    atlas = _bitmap(mi, town.atlas)

    def matte(texture):
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": texture}}

    def glossy(texture, alpha):
        return {"type": "twosided", "bsdf": {"type": "roughplastic", "diffuse_reflectance": texture, "alpha": alpha}}

    pane = {"type": "twosided", "bsdf": {"type": "plastic", "diffuse_reflectance": atlas, "int_ior": 1.52}}
    ground = matte(_bitmap(mi, town.ground))
    if light.wet:
        film = {"int_ior": 1.33, "nonlinear": True}
        dark, darker = (_bitmap(mi, (town.ground * factor).astype(np.uint8)) for factor in (0.62, 0.5))
        damp = {"type": "roughplastic", "diffuse_reflectance": dark, "alpha": 0.14, **film}
        puddle = {"type": "plastic", "diffuse_reflectance": darker, **film}
        weight = _bitmap(mi, town.puddles[..., None], raw=True)
        ground = {"type": "twosided", "bsdf": {"type": "blendbsdf", "weight": weight, "a": damp, "b": puddle}}
    return {
        "matte": matte(atlas), "glass": pane, "lit": pane, "paint": glossy(atlas, 0.12),
        "water": glossy(atlas, 0.04), "lamp": matte(atlas), "ground": ground,
    }  # fmt: skip


class Renderer:
    """A town under one light. Sun and sky are rendered apart, as only what is soft and noisy may be denoised."""

    def __init__(self, town: Town, light: Light, threads: int | None = None):
        import drjit

        mi = mitsuba()
        if threads:
            drjit.set_thread_count(threads)
        materials = _materials(mi, town, light)
        meshes = {name: _mesh(mi, town, light, name, materials[name]) for name in town.parts}
        self._scenes = [mi.load_dict({"type": "scene", **meshes, **light.soft_emitters(mi, town.lamps)})]
        if light.sun_deg:
            self._scenes.append(mi.load_dict({"type": "scene", **meshes, **light.sun_emitters()}))

    def render(self, pose: Pose, focal_px: float, size: tuple[int, int], samples: int, seed: int) -> np.ndarray:
        """A pinhole view, principal point in the middle: (h, w, 13) float32.

        Channels: 0-2 direct light of the sun (clean), 3-5 all other light (noisy), 6-8 albedo, 9-11 normal in camera
        axes, 12 depth along z in metres (0 = sky). Light is linear.
        """
        mi = mitsuba()
        sensor = _sensor(mi, pose, focal_px, size, samples)
        aovs = {"type": "aov", "aovs": "p:position,a:albedo,n:sh_normal"}
        one, more = ({"type": "path", "max_depth": depth, "rr_depth": 9} for depth in (2, MAX_DEPTH))

        def shot(scene, integrator):
            kept = mi.load_dict(integrator)
            return np.array(mi.render(scene, sensor=sensor, integrator=kept, spp=samples, seed=seed), np.float32)

        out = shot(self._scenes[0], {**aovs, "one": more})
        soft, surface = out[..., :3], out[..., 3:]
        direct = np.zeros_like(soft)
        if len(self._scenes) > 1:
            sun = shot(self._scenes[1], {"type": "aov", "aovs": "d:depth", "one": one, "two": more})
            direct, soft = sun[..., :3], soft + sun[..., 3:6] - sun[..., :3]  # the same rays: what remains is indirect
        hit = (np.abs(surface[..., 6:9]).sum(-1) > 1e-3) & (np.abs(surface[..., :3]).sum(-1) > 0)
        R, t = pose.rotation.astype(np.float32), pose.translation.astype(np.float32)
        depth = np.where(hit, surface[..., :3] @ R[2] + t[2], 0)
        return np.concatenate([direct, soft, surface[..., 3:6], surface[..., 6:9] @ R.T, depth[..., None]], -1)


def _mesh(mi, town: Town, light: Light, name: str, material: dict):
    vertices, uv, triangles = town.parts[name]
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict(material)
    if name == "lit" and light.windows:
        warm = (0.1 + np.asarray(town.atlas, np.float32) / 255) * np.float32(light.window_rgb)
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": _bitmap(mi, warm, raw=True)})
    if name == "lamp" and light.lamps:
        glow = {"type": "rgb", "value": list(light.globe_rgb)}
        properties["emitter"] = mi.load_dict({"type": "area", "radiance": glow})
    mesh = mi.Mesh(name, len(vertices), len(triangles), has_vertex_texcoords=True, props=properties)
    parameters = mi.traverse(mesh)
    parameters["vertex_positions"] = vertices.ravel()
    parameters["vertex_texcoords"] = uv.ravel()
    parameters["faces"] = triangles.ravel()
    parameters.update()
    return mesh


def _sensor(mi, pose: Pose, focal_px: float, size: tuple[int, int], samples: int):
    w, h = size
    to_world = np.eye(4)
    to_world[:3, :3] = pose.rotation.T @ np.diag([-1.0, -1.0, 1.0])  # Mitsuba's camera: x left, y up, z forward
    to_world[:3, 3] = pose.center
    return mi.load_dict({
        "type": "perspective", "fov_axis": "x", "fov": float(np.degrees(2 * np.arctan(w / 2 / focal_px))),
        "near_clip": 0.05, "far_clip": 500.0, "to_world": mi.ScalarTransform4f(to_world),
        "film": {"type": "hdrfilm", "width": w, "height": h, "rfilter": {"type": "box"}, "pixel_format": "rgb"},
        "sampler": {"type": "multijitter", "sample_count": samples},
    })  # fmt: skip
