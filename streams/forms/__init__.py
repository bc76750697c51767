"""Registration forms: files people write, checked with their places."""
