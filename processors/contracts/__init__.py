"""contract: what consumers were promised, and whether it is kept."""
