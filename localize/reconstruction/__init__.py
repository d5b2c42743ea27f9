"""The role that finds poses and intrinsics of photos: structure from motion."""
