"""Tests of trainings and their data."""
