"""Plans of what a lock's image is made of, and their executor."""
