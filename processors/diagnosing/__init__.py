"""diagnose: the processor that ranks why quality fell, over the graph of services and nodes."""
