"""What a project folder declares: its spec, written or detected. Nothing is resolved or built here."""
