"""`weir doctor`: looks at a whole installation, changes nothing, and says what to do."""
