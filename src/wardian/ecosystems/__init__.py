"""One folder for each packaging world: what it detects, resolves and installs."""
