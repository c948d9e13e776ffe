"""What an image holds, by package: read from its layers, measured, compared, drawn."""
