"""The one door to Faust: apps, host, guard."""
