"""Local and global features that others computed: hloc's files, kapture, npz; checked before use."""
