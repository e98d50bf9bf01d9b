"""The classifier on a Dask cluster, measured against the one on one machine."""
