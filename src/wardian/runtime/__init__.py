"""Containers: namespaces, root file systems, OCI runtime bundles, and the runtime that runs them."""
