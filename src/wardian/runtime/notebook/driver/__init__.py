"""Executes one notebook, inside the container, with the project's own Python.

It owns reading, parametrizing, executing and saving the notebook, and tells of it as JSON lines. It
runs on Python 3.9 and later with nbformat, nbclient, nbconvert and ipykernel, which it finds in the
workbench: so it must import nothing of wardian, and wardian must import nothing of it.
"""
