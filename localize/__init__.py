"""localize: from one photo, the camera's 6-DoF pose in a known 3D scene."""

import importlib
import pathlib
import zlib  # noqa: F401  first of all: loaded after pycolmap, Python's zlib crashes (pycolmap 4.2.1 exports its own)

__version__ = "0.1.0"

# Run from a bare checkout, localize.datasets, localize.pipelines and localize.conf lie beside this folder.
_checkout = pathlib.Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file():
    __path__.append(str(_checkout))

_PUBLIC = {
    **dict.fromkeys(
        ["Camera", "Image", "ImageList", "InputError", "Pose", "PoseEstimate", "Prior", "Scene"], "localize.types"
    ),
    "Localizer": "localize.localizer",
    "Store": "localize.store",
    "build_map": "localize.pipelines.build_map",
    "extend_map": "localize.pipelines.extend_map",
    "join_maps": "localize.pipelines.join_maps",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    """Import a public name when it is first used, so that `import localize` is instant."""
    if name not in _PUBLIC:
        raise AttributeError(f"localize has no attribute {name!r}; public names: {', '.join(_PUBLIC)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
