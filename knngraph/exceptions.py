"""Warnings that this library raises about itself."""


class KNNGraphWarning(UserWarning):
    """Base of the warnings of this library, so that one filter catches all."""


class LookupAgreementWarning(KNNGraphWarning):
    """The walk misses the label that exact search would find too often."""
