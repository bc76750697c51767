"""What can be registered, seen and changed over HTTP, by the code that the commands use."""
