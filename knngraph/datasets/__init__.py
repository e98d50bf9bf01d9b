"""The sets on which the method was published."""

from knngraph.datasets.deposit import CATALOG, DownloadError
from knngraph.datasets.loading import MissingSetError, cache_folder, load

NAMES = tuple(CATALOG)

__all__ = ["NAMES", "DownloadError", "MissingSetError", "cache_folder", "load"]
