"""Pipelines that judge: features, patches, retrieval, indexes, submission files."""
