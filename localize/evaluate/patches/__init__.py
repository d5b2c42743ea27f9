"""How good descriptors of patches are: FPR95, their bits, the tasks of HPatches, side by side."""
