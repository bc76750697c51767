"""Faust apps of the control plane: `faust -A streams.apps.<name> worker`, or `weir run <name>`."""
