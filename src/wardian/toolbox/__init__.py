"""Outside programs, fetched and made runnable without root."""
