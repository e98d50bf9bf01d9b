"""The figures of a cluster as tables."""

from benchmarks.machine import conditions, described
from benchmarks.pages import table


def report(figures: dict[str, tuple[float, str]], n_rows: int, d: int) -> str:
    """The figures as tables."""
    parts = [f"Machine: {described(conditions())}; shared with other work."]
    memory = [
        (name.split("|", 1)[1], f"{value:.3g} {unit}")
        for name, (value, unit) in figures.items()
        if name.startswith("memory|") and unit
    ]
    if memory:
        n_there = int(figures["memory|rows"][0])
        title = f"**Memory**, {n_there:,} rows of {d} features"
        parts += [title, table(("what", ""), memory)]
    whats = (
        "fit",
        "fit computing",
        "fit, processes",
        "fit traffic",
        "predict",
        "predict computing",
        "predict traffic",
        "accuracy",
        "recall of routing",
    )
    for routing in ("all", "centroids"):
        counts = sorted(
            {int(n.split("|")[1]) for n in figures if n.startswith(f"{routing}|")}
        )
        if not counts:
            continue
        rows = [
            (
                what,
                unit,
                *(f"{figures[f'{routing}|{n}|{what}'][0]:.4g}" for n in counts),
            )
            for what in whats
            for unit in [figures[f"{routing}|{counts[0]}|{what}"][1]]
        ]
        title = (
            f'**`routing="{routing}"`**, {n_rows:,} rows of {d} features, by partitions'
        )
        parts += [title, table(("what", "unit", *map(str, counts)), rows)]
    rows = []
    sets = sorted({n.split("|")[1] for n in figures if n.startswith("accuracy|")})
    for name in sets:
        for way in ("lookup", "cascade", "adaptive"):
            places = ("one machine", "four partitions")
            names = [f"accuracy|{name}|{way}|{place}" for place in places]
            if not all(measured in figures for measured in names):
                continue
            near, far = (figures[measured][0] for measured in names)
            cells = (f"{near:.2f}", f"{far:.2f}", f"{far - near:+.2f}")
            rows.append((name, way, *cells))
    heads = ("set", "inference", "one machine", "four partitions", "difference")
    if rows:
        parts += ["**Accuracy** in percent", table(heads, rows)]
    return "\n\n".join(parts)
