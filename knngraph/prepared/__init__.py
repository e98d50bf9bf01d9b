"""Rows before they are mapped: the steps of a pipeline as operations on arrays."""
