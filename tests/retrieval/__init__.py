"""Tests of global descriptors and rankings."""
