"""Records of graded submissions in the forms that other programs read; nothing here grades."""
