"""Pipelines that train: patches to learn from, networks, whitenings."""
