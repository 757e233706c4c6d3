"""Everything measured of a set of images, with error bars and provenance."""
