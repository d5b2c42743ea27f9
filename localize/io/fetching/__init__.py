"""Files from the network and archives, whole and verified or not at all."""
