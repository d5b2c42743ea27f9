"""Whether what a query knows of itself agrees with the pose that its matches give, in words where it does not."""

import dataclasses

import numpy as np

from localize.types import InputError, Pose, Prior

FAR_SD = 3.5  # standard deviations: one right gravity in 460, one right position in 150 lies farther off


def believed(
    prior: Prior | None, pose: Pose, *, position_sd_m: float = 0.0, orientation_sd_deg: float = 0.5
) -> tuple[Prior | None, tuple[str, ...]]:
    """The prior without what this pose contradicts, and a sentence for each part left out.

    position_sd_m, orientation_sd_deg: how uncertain the pose itself is, by its matches alone.
    """
    notes = []
    if prior is not None and prior.gravity is not None and not gravity_agrees(prior, pose, orientation_sd_deg):
        notes.append(
            f"gravity contradicts the matches by {gravity_off_deg(prior, pose):.0f} deg, with a standard deviation "
            f"of {prior.gravity_deg:g} deg: it was not used for the pose"
        )
        prior = dataclasses.replace(prior, gravity=None)
    if prior is not None and prior.position is not None:
        off = pose.center - prior.position
        spread = prior.position_covariance + position_sd_m**2 / 3 * np.eye(3)
        if off @ np.linalg.solve(spread, off) > FAR_SD**2:
            notes.append(
                f"the position prior lies {np.linalg.norm(off):.3g} (in the map's unit) from where the matches put "
                f"the camera, with a radius of {prior.reach_m:.3g}: it was not used for the pose"
            )
            prior = dataclasses.replace(prior, position=None, radius_m=None, covariance=None)
    return prior, tuple(notes)


def gravity_agrees(prior: Prior, pose: Pose, orientation_sd_deg: float = 0.5) -> bool:
    """Whether the prior's gravity is near that of a pose whose own standard deviation is this."""
    return gravity_off_deg(prior, pose) <= FAR_SD * np.hypot(prior.gravity_deg, orientation_sd_deg)


def gravity_off_deg(prior: Prior, pose: Pose) -> float:
    """Angle between the gravity that the prior and that the pose says, deg."""
    chord = np.linalg.norm(pose.rotation @ prior.gravity_in_world - prior.gravity)
    return float(2 * np.degrees(np.arcsin(min(1.0, chord / 2))))


def notes_on_failure(prior: Prior | None) -> tuple[str, ...]:
    """What a query without pose should know of its prior."""
    if prior is None or prior.position is None:
        return ()
    return (
        "similar references were taken near the position prior only: if that may be wrong, widen radius_m or leave it "
        "out",
    )


def unhonoured(solver, queries) -> list[str]:
    """One sentence for each part of the queries' priors that the pose solver does not use."""
    honours = getattr(solver, "honours", frozenset())
    carrying: dict[str, list[str]] = {}
    for query in queries:
        for part in (query.prior.parts if query.prior is not None else frozenset()) - honours:
            carrying.setdefault(part, []).append(query.name)
    name = type(solver).__name__
    return [
        f"{name} makes no use of {_SAID[part]}, which {_who(names)}: take a pose solver that does, such as poselib, or "
        "leave it out"
        for part, names in sorted(carrying.items())
    ]


def _who(names: list[str]) -> str:
    if len(names) == 1:
        return f"query {names[0]} brings" if names[0] else "this photo brings"
    return f"{len(names)} queries bring, such as {names[0]}"


def refuse_unhonoured(solver, queries) -> None:
    """InputError with the sentences of `unhonoured`, if there are any."""
    problems = unhonoured(solver, queries)
    if problems:
        raise InputError(*problems)


_SAID = {"gravity": "gravity", "position": "a position", "focal": "a guessed or unknown focal length"}
