"""Time several ways of doing a thing, in turn, and print ratios of their medians."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """What is compared, and how large the quotient may be.

    Attributes:
        name: what the quotient tells.
        of: name of the contender.
        to: name of the contender that it is divided by.
        at_most: the bound.
    """

    name: str
    of: str
    to: str
    at_most: float


def compare(
    contenders: Mapping[str, Callable[[], None]], ratios: Sequence[Ratio], rounds: int
) -> bool:
    """Run the contenders in turn, A B C A B C …, and print medians and ratios.

    One uncounted round comes first, for caches.  The ratio of each round is taken before the
    median, so that a machine that is slow for a while slows both sides.

    Args:
        contenders: what to run, by name.
        ratios: what to compare.
        rounds: how often each is counted.

    Returns:
        Whether every ratio keeps its bound.  The same figures go to standard output as one line
        of JSON, for programs.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr)
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        print(f"{median:8.2f} s  {name}  ({min(seconds[name]):.2f} to {max(seconds[name]):.2f})")
    figures = {}
    kept = True
    for ratio in ratios:
        pairs = zip(seconds[ratio.of], seconds[ratio.to], strict=True)
        value = statistics.median(of / to for of, to in pairs)
        kept = kept and value <= ratio.at_most
        figures[ratio.name] = round(value, 3)
        verdict = "kept" if value <= ratio.at_most else "MISSED"
        print(f"{value:8.2f}    {ratio.name}, at most {ratio.at_most:.2f}: {verdict}")
    print(json.dumps({"seconds": medians, "ratios": figures}))
    return kept
