"""Files, HTTP, processes, progress and environment variables. No word of the domain."""
