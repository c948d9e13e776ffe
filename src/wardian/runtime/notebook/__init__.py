"""Headless execution of notebooks: what to run in the container, and what it tells while it runs."""
