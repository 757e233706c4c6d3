"""Quality, adherence and diversity of generated images, each with n, seed and an error bar."""
