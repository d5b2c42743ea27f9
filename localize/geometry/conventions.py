"""In which other conventions poses are written, and what a list of poses is if it was written in one of them.

Ours is cam_from_world with the camera's x to the right, y down and z forward, as quaternion w x y z and translation.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from localize.geometry.poses import qvec_from_rotation, rotation_from_qvec

OURS = "world to camera: quaternion w x y z and translation, x to the right, y down, z forward"
AXES = {  # from the camera axes of others to ours
    "": np.eye(3),
    "y up and z backward (OpenGL, NeRF, Blender)": np.diag([1.0, -1, -1]),
    "x left and y up (PyTorch3D)": np.diag([-1.0, -1, 1]),
    "x forward, y left and z up (ROS)": np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]),
}
FORMS = {  # rotation turned over, centre in place of the translation
    "": (False, False),
    "camera to world": (True, True),
    "world to camera, but with the camera centre in place of the translation": (False, True),
    "rotation camera to world, translation world to camera": (True, False),
}
MIRROR = np.diag([1.0, -1, 1])  # of a left-handed world


@dataclass(frozen=True)
class Convention:
    """What poses may have been written as in place of ours."""

    form: str = ""  # of FORMS
    axes: str = ""  # of AXES
    xyzw: bool = False  # the order of the quaternion
    left_handed: bool = False  # camera and world with y up and z forward, as Unity has them
    shift: int = 0  # each photo has the pose of the one so many further in the list

    def __str__(self) -> str:
        parts = [
            self.form,
            f"camera axes with {self.axes}" if self.axes else "",
            "quaternion x y z w" if self.xyzw else "",
            "left-handed axes with y up (Unity)" if self.left_handed else "",
            f"each photo with the pose of the one {'before' if self.shift < 0 else 'after'} it" if self.shift else "",
        ]
        return ", ".join(part for part in parts if part)

    def read(self, rotations: np.ndarray, translations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """cam_from_world (N, 3, 3), (N, 3) as we write it, of poses that were written in this convention."""
        R, t = np.asarray(rotations), np.asarray(translations)
        if self.xyzw:
            R = np.array([rotation_from_qvec(np.roll(qvec_from_rotation(r), 1)) for r in R])
        if self.left_handed:
            R, t = MIRROR @ R @ MIRROR, t @ MIRROR
        turned, centred = FORMS[self.form]
        R = R.transpose(0, 2, 1) if turned else R
        R = AXES[self.axes] @ R
        t = -np.einsum("nij,nj->ni", R, t) if centred else t @ AXES[self.axes].T
        return np.roll(R, self.shift, 0), np.roll(t, self.shift, 0)


def conventions() -> list[Convention]:
    """All others that are known, the simpler ones before those that differ from ours in more than one way."""
    found = [Convention(*parts) for parts in itertools.product(FORMS, AXES, (False, True))]
    found += [Convention(form, "", xyzw, left_handed=True) for form, xyzw in itertools.product(FORMS, (False, True))]
    found += [Convention(shift=shift) for shift in (-1, 1)]
    differs = {c: bool(c.form) + bool(c.axes) + c.xyzw + c.left_handed + bool(c.shift) for c in found}
    return sorted(found[1:], key=differs.get)
