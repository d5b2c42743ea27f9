"""Fast kernels against slow twins."""
