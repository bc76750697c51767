"""HTTP for those who want a call instead of an event; it only speaks topics."""
