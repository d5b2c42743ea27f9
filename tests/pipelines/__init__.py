"""Tests of the pipelines, and of the chain from end to end."""
