"""Turns a submitted notebook into a grade. Imports ddpm_core, which never imports this package."""
