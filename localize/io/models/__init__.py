"""3D models in files: COLMAP's models and databases, NVM, and the map written as one."""
