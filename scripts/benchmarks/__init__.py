"""What is measured by hand on a quiet machine: performance is never a timed test."""
