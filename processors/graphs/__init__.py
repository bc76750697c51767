"""The graph of an application: what is wrong with it, and in which order its stages may run."""
