"""The language of defined metrics."""
