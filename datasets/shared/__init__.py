"""What adapters share: checks, references of a supplied model, manifests."""
