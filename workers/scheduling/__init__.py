"""What a worker decides under load: who waits, who goes, who goes first, in what company. Pure."""
