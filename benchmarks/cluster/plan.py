"""What a billion rows would take, on paper, from what was measured."""

import numpy as np

from benchmarks.pages import table
from knngraph import KNNGraphClassifier
from knngraph.distributed.fitting import rows_of_patch
from knngraph.distributed.neighborhoods import rows_of_question
from knngraph.space import Space

SETTINGS_OF_GRAPH = KNNGraphClassifier()._graph_settings(
    [3, 7, 15], Space("euclidean", None, 1.0)
)


def plan(figures: dict[str, float], n_rows: int, n_features: int) -> str:
    """What a billion rows of 128 features would take, from the figures."""
    n, d, m = 10**9, 128, 32
    workers, cores = 64, 16
    partitions = workers
    index = 4 * d + 4 * 2 * 16 * 1.1 + 16
    of_row = {
        "coordinates, for other partitions": 4 * d,
        "index: coordinates again, 32 links, level": index,
        "nearest rows: 32 numbers and distances of 4 bytes": 8 * m,
        "learned neighbors (7 of 16 bytes), shares, beliefs": 7 * 16 + 216,
    }
    total = sum(of_row.values())
    per_worker = total * n / workers
    to_and_fro = (partitions - 1) * (4 * d + 12 * (m + 1))
    fetched = 1.5 * m * (4 * d + 28)
    once = 4 * d + 20
    traffic = to_and_fro + fetched + once
    network = 1.25e9 * 0.5
    hours_net = traffic * n / workers / network / 3600
    patch_rows = rows_of_patch(d, SETTINGS_OF_GRAPH, m, n // workers)
    questions = -(-n // workers // rows_of_question(d, n // workers))
    patches = -(-n // workers // patch_rows)
    tasks = partitions * (partitions + 3) * (questions + 2 * patches)
    probes = 8
    routed = (probes - 1) * (4 * d + 12 * (m + 1)) + fetched * 0.3 + once
    rows = [
        *(
            (f"memory: {what}", f"{size:.0f} bytes a row", f"{size * n / 1e12:.2f} TB")
            for what, size in of_row.items()
        ),
        ("memory of all", f"{total:.0f} bytes a row", f"{total * n / 1e12:.2f} TB"),
        (
            f"machines: {workers} of {cores} cores, one partition each",
            f"{n // workers / 1e6:.1f} million rows each",
            f"{per_worker / 2**30:.0f} GiB each, and as much again for work",
        ),
        (
            'traffic, `routing="all"`',
            f"{traffic / 1024:.0f} KiB a row",
            f"{traffic * n / 1e12:.0f} TB, {hours_net:.1f} h at half of 10 Gbit/s",
        ),
        (
            "tasks of the two exchanges",
            f"{questions} and {patches} blocks a partition",
            f"{tasks / 1e6:.1f} million, {tasks * 1e-3 / 3600:.1f} h of the scheduler",
        ),
        (
            f'traffic, `routing="centroids"`, n_probes={probes}',
            f"{routed / 1024:.0f} KiB a row",
            f"{routed * n / 1e12:.0f} TB, "
            f"{routed * n / workers / network / 3600:.1f} h",
        ),
    ]
    for name, asked in (("all", partitions), (f"centroids, n_probes={probes}", probes)):
        seconds = computing_of_row(figures, n_rows, n_features, asked, n / partitions)
        if seconds is not None:
            hours = seconds * n / (workers * cores) / 3600
            cells = (f"{seconds * 1e3:.1f} ms a row", f"{hours:.1f} h of all cores")
            rows.append((f"computing, routing: {name}", *cells))
    return table(("what", "a row", f"{n:.0e} rows of {d} features"), rows)


def computing_of_row(
    figures: dict[str, float], n_rows: int, n_features: int, asked: int, n_there: float
) -> float | None:
    """Seconds of computing for a row of 128 features that asks some partitions.

    What one partition was measured to take, and what every further one that is
    asked was measured to add; None where that was not measured.
    """
    counts = sorted(
        int(name.split("|")[1])
        for name in figures
        if name.startswith("all|") and name.endswith("|fit computing")
    )
    if len(counts) < 2:
        return None
    one, most = (figures[f"all|{i}|fit computing"] / n_rows for i in (1, counts[-1]))
    added = max(most - one, 0.0) / (counts[-1] - 1)
    deeper = np.log(n_there) / np.log(n_rows / counts[-1])
    return float(128 / n_features * (one + added * (asked - 1) * deeper))
