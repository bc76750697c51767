"""Model files: fetched from where they stand, verified, kept within bounds."""
