"""From a submitted notebook to a grade. Imports ddpm_core; ddpm_core never imports this."""
