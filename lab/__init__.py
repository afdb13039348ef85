"""A mesh on one machine: the engine, an API server, machines, and stand-ins for what needs a cloud.

What the package registries have is real here; what they do not have has a stand-in, named as one.
Nothing in this folder is part of the library: `meshvm` never imports `lab`.
"""
