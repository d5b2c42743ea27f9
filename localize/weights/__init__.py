"""Weights in files: those that ship, the manifest of others', and the networks made of them."""
