"""What there is: machines, what copies need of them, who runs where."""
