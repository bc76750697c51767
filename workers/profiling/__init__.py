"""What a service takes of a machine, and what it suffers from: measured, judged, proposed."""
