"""Memory, time, traffic and accuracy of the classifier on a Dask cluster.

    python -m benchmarks.distributed --csv FILE [--data-dir DIR] [--write-docs]
        [--only memory partitions accuracy]

Everything runs on a local cluster of real processes. Figures are added to the CSV
file as they come, so that the parts may be run one by one; with `--write-docs` those
of the file, and the plan that follows from them, are written into docs/dask.md.
"""

if __name__ == "__main__":
    # Every worker process reads this file again: what is loaded here only is not in
    # the memory that is measured there.
    from benchmarks.cluster.command import main

    main()
