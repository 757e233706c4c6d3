"""Records of graded submissions in the formats that other programs read; nothing here grades."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
