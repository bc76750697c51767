"""What a worker needs to go on without a broker: a spool, its last placement, local callers."""
