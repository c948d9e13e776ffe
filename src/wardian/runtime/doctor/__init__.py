"""Whether this machine can build and run containers, and what to do where it cannot."""
