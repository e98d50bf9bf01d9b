"""A fitted model away from its estimator: to answer with, and to keep in a file."""
