"""Compilation of kernels, and where they are kept."""

from knngraph.compiling.kernels import compiled as compiled
from knngraph.compiling.kernels import compiled_part as compiled_part
