"""The files of benchmarks: layouts, lists, patches, sequences, depth, submissions."""
