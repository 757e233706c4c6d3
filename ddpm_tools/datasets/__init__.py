"""Where `ddpm_core.data.load_data` finds its pictures: folders and zips, how they are laid out, and torchvision."""
