"""Topics as they are and as they should be; growing them."""
