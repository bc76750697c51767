"""route: every request to its members, and their answers to the consumer."""
