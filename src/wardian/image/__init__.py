"""The OCI image model. No network."""
