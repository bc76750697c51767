"""quality: verdicts of declared rules."""
