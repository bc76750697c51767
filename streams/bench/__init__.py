"""`weir bench`: what the whole stack does on this machine, and what its failures cost."""
