"""Measures wardian against its peer, Docker Engine with BuildKit, in one run on one machine.

It uses the installed command `wardian` and the peer's own programs. It asserts no figure.
"""
