"""Data sets by name or path: folders and zips, how they are laid out, and torchvision's."""

from ddpm_tools.datasets.load import load_data as load_data
