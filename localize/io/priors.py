"""What a query knows of itself, as the fields `key=value` at the end of its line in a query list."""

import dataclasses
import difflib

import numpy as np

from localize.types import Prior
from localize.types.priors import DOWN

LENGTHS = {"gravity": 3, "gravity_deg": 1, "position": 3, "radius_m": 1, "covariance": 9, "focal": None}  # None: a word
NEEDS = {"gravity_deg": "gravity", "radius_m": "position", "covariance": "position"}


def parse_prior(fields: list[str], gravity_in_world=DOWN) -> Prior | None:
    """Prior from fields such as `gravity=0,1,0`, None if there are none; ValueError says what is wrong."""
    found = {}
    for field in fields:
        key, equals, text = field.partition("=")
        if not equals:
            raise ValueError(f"{field} stands behind fields of the form key=value: numbers of the camera come before")
        if key not in LENGTHS:
            close = difflib.get_close_matches(key, LENGTHS, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"unknown field {key}; {hint}the known ones are {', '.join(LENGTHS)}")
        if key in found:
            raise ValueError(f"{key} is given twice")
        found[key] = text if LENGTHS[key] is None else _numbers(key, text)
    for key, needed in NEEDS.items():
        if key in found and needed not in found:
            raise ValueError(f"{key} is given without {needed}")
    if {"radius_m", "covariance"} <= found.keys():
        raise ValueError("radius_m and covariance both say how far from position it may be: give one of them")
    if "position" in found and not {"radius_m", "covariance"} & found.keys():
        raise ValueError("position needs radius_m or covariance: how far from it may the camera be?")
    if "covariance" in found and not np.allclose(found["covariance"], found["covariance"].T):
        raise ValueError("covariance is not symmetric: give xx,xy,xz,yx,yy,yz,zx,zy,zz in m^2")
    return Prior(**found, gravity_in_world=np.array(gravity_in_world, np.float64)) if found else None


def _numbers(key: str, text: str) -> float | np.ndarray:
    """One number, three as an array, nine as a matrix."""
    wanted = LENGTHS[key]
    try:
        values = np.array(text.split(","), np.float64)
    except ValueError:
        values = np.zeros(0)
    if len(values) != wanted or not np.isfinite(values).all():
        form = "a number" if wanted == 1 else f"{wanted} numbers with commas and no blanks between them"
        raise ValueError(f"{key}={text}, but must be {form}")
    return float(values[0]) if wanted == 1 else values.reshape(3, 3) if wanted == 9 else values


def prior_fields(prior: Prior | None) -> str:
    """The same as text, with a blank before each field; gravity_in_world is no part of it."""
    if prior is None:
        return ""
    left_out = {key for key, needed in NEEDS.items() if getattr(prior, needed) is None}
    defaults = {f.name: f.default for f in dataclasses.fields(Prior)}
    text = ""
    for key in LENGTHS:
        value = getattr(prior, key)
        if value is None or key in left_out or (key == "focal" and value == defaults[key]):
            continue
        text += f" {key}=" + (value if LENGTHS[key] is None else ",".join(repr(float(v)) for v in np.ravel(value)))
    return text
