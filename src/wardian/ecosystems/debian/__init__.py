"""Debian packages: the ground on which every image stands."""
