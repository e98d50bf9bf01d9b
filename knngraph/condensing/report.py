"""What a condensation kept, and what it cost."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CondensingReport:
    """Size, speed and accuracy before and after.

    Prints as a short table.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_points, n_kept : int
        Distinct rows that were stored, and that are.
    bytes_before, bytes_after : int
        Of the arrays of the predictor, index included.
    ef_before, ef_after : int
        Smallest beam whose labels agree with exact search often enough.
    microseconds_before, microseconds_after : float
        A row of a batch of training rows, at those beams and with one thread;
        times are of the machine, and take no part in comparisons.
    accuracy_before, accuracy_after : float
        Of lookups by exact search on left-out rows that the condensation had not
        seen; NaN where there was nothing to leave out.
    loss_error : float
        Standard error of their difference.
    n_left_out : int
        Number of those rows.
    tolerance : float
    margin : float or None
        Nearest kept row of another class over nearest of the own, minus one, that
        every served row has at least; None where every row is kept.
    n_outvoted : int
        Training rows that were given up because most of their nearest others have
        another stored label; 0 where they were not.
    changed_share : float
        Share of the training rows whose nearest kept row has another stored label
        than before. Such rows are outvoted, all of them.
    """

    n_rows: int
    n_points: int
    n_kept: int
    bytes_before: int
    bytes_after: int
    ef_before: int
    ef_after: int
    microseconds_before: float = field(compare=False)
    microseconds_after: float = field(compare=False)
    accuracy_before: float
    accuracy_after: float
    loss_error: float
    n_left_out: int
    tolerance: float
    margin: float | None
    n_outvoted: int
    changed_share: float

    @property
    def kept_share(self) -> float:
        """Stored rows after over before."""
        return self.n_kept / self.n_points

    @property
    def loss(self) -> float:
        """Accuracy that left-out rows lose; negative where they gain."""
        return self.accuracy_before - self.accuracy_after

    def __str__(self) -> str:
        before_after = [
            ("stored rows", f"{self.n_points:,}", f"{self.n_kept:,}"),
            ("bytes", f"{self.bytes_before:,}", f"{self.bytes_after:,}"),
            ("beam (ef)", f"{self.ef_before}", f"{self.ef_after}"),
            (
                "microseconds a row",
                f"{self.microseconds_before:.1f}",
                f"{self.microseconds_after:.1f}",
            ),
            (
                "accuracy, left out",
                f"{self.accuracy_before:.4f}",
                f"{self.accuracy_after:.4f}",
            ),
        ]
        lines = [f"{'':20}{'before':>14}{'after':>14}"]
        lines += [f"{name:20}{b:>14}{a:>14}" for name, b, a in before_after]
        lines.append(
            f"{self.kept_share:.1%} of the stored rows are kept; "
            f"{self.changed_share:.2%} of {self.n_rows:,} training rows change their "
            f"answer; accuracy on {self.n_left_out:,} left-out rows changes by "
            f"{-self.loss:+.4f} (standard error {self.loss_error:.4f})."
        )
        return "\n".join(lines)
