"""What other distributions name under the entry points of Weir."""
