"""Errors of the operating system at every call that reaches a file, and power cuts between them."""
