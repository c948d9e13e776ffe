"""Locks: what a spec resolved to, as pure data, and the file that holds it."""
