"""The public API's objects: projects, locks, images. The command line uses nothing else."""
