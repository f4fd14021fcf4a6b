"""The version of this build. `opsctl releases build` rewrites this file in the source copy that it builds from."""

__version__ = "1.0.0"
COMMIT = "checkout"
