"""derive: metrics that follow from results, labels and heartbeats."""
