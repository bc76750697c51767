"""Pure state machines: what Weir observes and decides, without clock, randomness or I/O."""
