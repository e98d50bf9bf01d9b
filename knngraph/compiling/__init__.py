"""Compilation of kernels, and where they are kept."""

from knngraph.compiling.kernels import compiled, compiled_part

__all__ = ["compiled", "compiled_part"]
