"""Orders: whose job goes first. Pure."""
