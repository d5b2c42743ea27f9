"""Costs said before the work: hours, memory and disk of each stage, beside what this machine has."""

from localize.stages.costs.estimate import Estimate, estimate

__all__ = ["Estimate", "estimate"]
