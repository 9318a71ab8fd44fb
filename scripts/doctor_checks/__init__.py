"""Says what works and what does not: the package behind scripts/doctor. It changes nothing, and sends no credential."""
