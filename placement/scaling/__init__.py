"""scale: the processor that decides how many copies of a service there are."""
