"""Warnings and errors that this library raises about itself."""


class KNNGraphWarning(UserWarning):
    """Base of the warnings of this library, so that one filter catches all."""


class LookupAgreementWarning(KNNGraphWarning):
    """The search misses the label that exact search finds too often."""


class SavedModelError(ValueError):
    """A saved model is damaged, or not what this release can read."""


class RefitWarning(KNNGraphWarning):
    """Rows have come that only a new fit would do justice to."""
