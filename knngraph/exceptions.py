"""Warnings that this library raises about itself."""


class KNNGraphWarning(UserWarning):
    """Base of the warnings of this library, so that one filter catches all."""
