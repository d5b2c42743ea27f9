"""How well an index finds points: descriptors with known answers, recall against time."""
