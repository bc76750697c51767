"""Large inputs apart from the events that name them: stored once, bounded, for a while."""
