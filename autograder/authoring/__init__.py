"""Tools for authors of exercises: known answers, calibration, new exercises. No grade depends on them."""
