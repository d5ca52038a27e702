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


@dataclass(frozen=True)
class Difference:
    """What is subtracted, and how large the rest may be.

    Attributes:
        name: what the rest tells.
        of: name of the contender.
        less: name of the contender whose time is taken off.
        at_most: the bound, in seconds.
    """

    name: str
    of: str
    less: str
    at_most: float


def compare(
    contenders: Mapping[str, Callable[[], None]],
    bounds: Sequence[Ratio | Difference],
    rounds: int,
) -> bool:
    """Run the contenders in turn, A B C A B C …, and print medians, ratios and differences.

    One uncounted round comes first, for caches.  The ratio or difference of each round is taken
    before the median, so that a machine that is slow for a while slows both sides.

    Args:
        contenders: what to run, by name.
        bounds: what to compare.
        rounds: how often each is counted.

    Returns:
        Whether every bound is kept.  The same figures go to standard output as one line
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
    figures: dict[str, dict[str, float]] = {"ratios": {}, "differences": {}}
    kept = True
    for bound in bounds:
        if isinstance(bound, Ratio):
            kind, unit = "ratios", " "
            pairs = zip(seconds[bound.of], seconds[bound.to], strict=True)
            value = statistics.median(of / to for of, to in pairs)
        else:
            kind, unit = "differences", "s"
            pairs = zip(seconds[bound.of], seconds[bound.less], strict=True)
            value = statistics.median(of - less for of, less in pairs)
        kept = kept and value <= bound.at_most
        figures[kind][bound.name] = round(value, 3)
        verdict = "kept" if value <= bound.at_most else "MISSED"
        print(f"{value:8.2f} {unit}  {bound.name}, at most {bound.at_most:.2f}: {verdict}")
    print(json.dumps({"seconds": medians, **figures}))
    return kept
