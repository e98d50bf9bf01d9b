"""Who voted when the labels around the sample were judged.

How far labels are to be believed is learned on left-out rows, which must not speak
through their neighbors: what is said of a label is counted without them. So the
rows around the sample keep, when they are left out themselves, whose votes they
heard. The sample is bounded, and with it all that is kept and lent.
"""

from dataclasses import dataclass

import numpy as np

from knngraph.distributed.learning import Globals, Learned
from knngraph.distributed.partition import Offsets, Partition, ranges
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import Surroundings
from knngraph.distributed.witnesses import Witnessed
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.ballots import Witnesses
from knngraph.inference.leave_one_out import LeaveOneOut


@dataclass(frozen=True)
class Testimony(Weighed):
    """What the others say of the labels of some pairs, and who they are.

    Parameters
    ----------
    own_share, rival_code, rival_share : ndarray of shape (n_pairs,)
        See `knngraph.inference.leave_one_out.LeaveOneOut`.
    heard : Witnessed
        Of the same pairs.
    """

    own_share: np.ndarray
    rival_code: np.ndarray
    rival_share: np.ndarray
    heard: Witnessed


def nodes_around(
    partition: Partition,
    around: Surroundings,
    start: int,
    stop: int,
    k: int,
    *,
    number: int,
    everything: Globals,
) -> list[np.ndarray]:
    """Nodes of the pairs from `start` to `stop` and their `k` nearest, by partition."""
    offsets = everything.offsets
    own = np.unique(partition.training.pair_node[start:stop])
    near = around.ids[own, :k].ravel()
    return offsets.split(np.unique(np.concatenate([own + offsets.nodes[number], near])))


def join_asked(parts: list[np.ndarray]) -> np.ndarray:
    """Nodes of a partition that anybody asks."""
    return np.unique(np.concatenate(parts))


def lend_testimony(
    partition: Partition,
    learned: Learned,
    witnessed: Witnessed,
    places: np.ndarray,
    *,
    number: int,
    offsets: Offsets,
) -> Testimony:
    """Copy what is said of the labels on some nodes that were asked."""
    starts = partition.training.node_starts()
    pairs = ranges(starts[places], starts[places + 1] - starts[places])
    return Testimony(
        learned.own_share[pairs],
        learned.rival_code[pairs],
        learned.rival_share[pairs],
        witnessed.of_pairs(offsets.pairs[number] + pairs.astype(np.int64)),
    )


def join_testimonies(parts: list[Testimony]) -> Testimony:
    """Testimonies from all partitions, by ascending number of the pairs."""
    return Testimony(
        np.concatenate([part.own_share for part in parts]),
        np.concatenate([part.rival_code for part in parts]),
        np.concatenate([part.rival_share for part in parts]),
        Witnessed.join([part.heard for part in parts]),
    )


def in_numbers_of_patch(
    testimony: Testimony,
    training: TrainingSet,
    pair_numbers: np.ndarray,
    node_numbers: np.ndarray,
) -> tuple[LeaveOneOut, Witnesses]:
    """Testimonies as votes on one machine read them.

    Parameters
    ----------
    testimony : Testimony
    training : TrainingSet
        Of the patch.
    pair_numbers, node_numbers : ndarray
        Numbers of its pairs and nodes among all, ascending.

    Returns
    -------
    left_out : LeaveOneOut
        Of the pairs that are testified of; the others are not to be asked.
    witnesses : Witnesses
    """
    heard = testimony.heard
    pairs = np.searchsorted(pair_numbers, heard.pairs)
    shares = {"own_share": np.zeros(training.n_pairs)}
    shares["rival_share"] = np.zeros(training.n_pairs)
    rival_code = np.zeros(training.n_pairs, dtype=np.int32)
    for name, of_pair in shares.items():
        of_pair[pairs] = getattr(testimony, name)
    rival_code[pairs] = testimony.rival_code
    place = np.full(training.n_pairs, -1, dtype=np.intp)
    place[pairs] = np.arange(len(pairs))
    # Whoever is not in the patch is not left out there, and asked for by nobody.
    nodes = np.searchsorted(node_numbers, heard.ids)
    there = node_numbers[np.minimum(nodes, len(node_numbers) - 1)] == heard.ids
    left_out = LeaveOneOut(
        right=np.zeros(training.n_pairs, dtype=bool),  # nobody asks
        rival_code=rival_code,
        exponent=np.nan,
        score=np.nan,
        **shares,
    )
    return left_out, Witnesses(place, np.where(there, nodes, -1), heard.per_row)
