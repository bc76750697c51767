"""The demonstration: handwritten digits, a corruption partway, and the loop that answers it."""
