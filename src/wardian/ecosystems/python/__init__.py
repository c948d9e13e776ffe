"""Python packages: resolved, downloaded and installed by uv."""
