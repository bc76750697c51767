"""shift: data that is no longer as it was, told without labels."""
