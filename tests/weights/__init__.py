"""Tests of weights in files."""
