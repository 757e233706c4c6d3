"""For whoever writes exercises: known answers, calibration, new exercises. Nothing of it travels or reaches a grade."""
