"""Certify the graph against the rows of all partitions (``support="exact"``).

Block by block: the solutions go to every partition, which lists its pairs that
violate an optimality condition; those join the candidates, and the block solves
again, until nobody objects. Work is quadratic in the rows, as on one machine.
"""

from functools import partial
from typing import Any

from knngraph.distributed.certificate import (
    begin_certificate,
    n_active,
    nodes_of_pairs,
    scan_partition,
    solve_again,
    take_in,
    vote_again,
    wanted_first,
    wanted_next,
)
from knngraph.distributed.layout import Layout, fetch_from
from knngraph.distributed.learning import Globals
from knngraph.distributed.tasks import compute, persist, task
from knngraph.parallel import chunk_bounds

_PAIRS_PER_BLOCK = 1024
_MAX_ROUNDS = 50


def certify_all(
    partitions: list[Any], learned: list[Any], layout: Layout, everything: Globals
) -> list[Any]:
    """What is learned of every partition, certified; persisted."""
    blocks = [
        (number, start, stop)
        for number, n_pairs in enumerate(layout.n_pairs)
        for start, stop in chunk_bounds(int(n_pairs), _PAIRS_PER_BLOCK)
    ]
    certificates = []
    for number, start, stop in blocks:
        cut: dict[str, Any] = {
            "start": start,
            "stop": stop,
            "number": number,
            "everything": everything,
        }
        of_block = (partitions[number], learned[number])
        home = layout.homes[number]
        wanted = task(partial(wanted_first, **cut), *of_block, name="wanted", home=home)
        fetched = _fetch_pairs(partitions, wanted, layout, everything, home)
        begin = partial(begin_certificate, **cut)
        certificates.append(
            task(begin, *of_block, fetched, name="certificate", home=home)
        )
    certificates = persist(certificates)
    unfinished = list(range(len(blocks)))
    for _ in range(_MAX_ROUNDS):
        certificates = _check(certificates, unfinished, blocks, partitions, everything)
        n_left = compute(
            *(task(n_active, certificates[i], name="left") for i in unfinished)
        )
        unfinished = [i for i, n in zip(unfinished, n_left) if n]
        if not unfinished:
            break
        for i in unfinished:
            home = layout.homes[blocks[i][0]]
            wanted = partial(wanted_next, everything=everything)
            fetched = _fetch_pairs(
                partitions,
                task(wanted, certificates[i], name="wanted", home=home),
                layout,
                everything,
                home,
            )
            again = partial(solve_again, everything=everything)
            certificates[i] = task(
                again, certificates[i], fetched, name="certificate", home=home
            )
        certificates = persist(certificates)
    certified = []
    for number, home in enumerate(layout.homes):
        mine = [c for c, (owner, *_) in zip(certificates, blocks) if owner == number]
        finish = partial(vote_again, everything=everything)
        certified.append(task(finish, learned[number], mine, name="learned", home=home))
    return persist(certified)


def _check(
    certificates: list[Any],
    unfinished: list[int],
    blocks: list[tuple[int, int, int]],
    partitions: list[Any],
    everything: Globals,
) -> list[Any]:
    certificates = list(certificates)
    for i in unfinished:
        found = [
            task(
                partial(scan_partition, number=q, everything=everything),
                part,
                certificates[i],
                name="scan",
            )
            for q, part in enumerate(partitions)
        ]
        certificates[i] = task(take_in, certificates[i], found, name="certificate")
    return persist(certificates)


def _fetch_pairs(
    partitions: list[Any], wanted: Any, layout: Layout, everything: Globals, home: Any
) -> list[Any]:
    fetch = partial(nodes_of_pairs, everything=everything)
    return fetch_from(
        lambda q: partial(fetch, number=q),
        [(part,) for part in partitions],
        wanted,
        layout,
        name="fetch",
        home=home,
    )
