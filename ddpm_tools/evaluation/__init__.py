"""Everything measured on a set of images, with error bars and provenance."""
