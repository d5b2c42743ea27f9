"""What every component of a role must do, one file per role."""
