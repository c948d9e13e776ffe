"""An image or a lock in others' formats: one file for each."""
