"""Tests of prior leaves, prior frames and their union."""
