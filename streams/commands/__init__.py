"""The commands of `weir`, one module per noun, imported when they are called."""
