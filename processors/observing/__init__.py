"""observe: exact statistics per series and window."""
