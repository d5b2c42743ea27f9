"""Pipelines that bring data in and out: data sets, weights, Minitown, exports."""
