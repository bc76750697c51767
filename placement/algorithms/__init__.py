"""How good a node is for a copy: scores by name, plug-ins of others beside them."""
