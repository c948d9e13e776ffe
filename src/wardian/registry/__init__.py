"""The client of the distribution specification: it knows references, blobs and manifests alone."""
