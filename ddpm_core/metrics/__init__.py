"""Quality, diversity and adherence of generated images."""
