"""Tables as people have them."""

import numpy as np
import pandas

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


def messy_table(n_rows=150, seed=0):
    """Numbers, categories, dates, gaps, money; columns and cells that are markup."""
    random = np.random.default_rng(seed)
    kind = random.choice(["plain", "None", HOSTILE], n_rows)
    amount = random.gamma(2.0, 900.0, n_rows)
    age = random.integers(18, 90, n_rows).astype(float)
    age[random.random(n_rows) < 0.15] = np.nan
    days = pandas.date_range("2021-01-01", periods=n_rows)
    label = np.where((kind == "plain") ^ (amount > 4000), "yes & no", "no<b>")
    return pandas.DataFrame(
        {
            "id": np.arange(1000, 1000 + n_rows),
            "age": age,
            f"amount {HOSTILE}": [f"${a:,.2f}" for a in amount],
            "kind": kind,
            "day": days.strftime("%d/%m/%Y"),
            "\u202eturned": random.normal(size=n_rows).round(3),
            "label": label,
        }
    )
