"""Tests of what judges and tabulates."""
