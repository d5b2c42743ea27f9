"""Forward passes against slow twins."""
