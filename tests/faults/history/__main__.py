"""`make soak`: lets every nemesis strike, on both engines, and prints what was tried and found."""

import argparse
import sys
from collections.abc import Iterator

from tests.faults.history.nemeses import NEMESES
from tests.faults.history.run import Strike, run_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0, help="for each engine; every nemesis strikes at least once")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    given = parser.parse_args()
    strikes: list[tuple[str, Strike]] = []

    def report(engine: str, strike: Strike) -> None:
        strikes.append((engine, strike))
        print(f"{engine}: {strike.nemesis}: {strike.acknowledged} acknowledged, away {strike.away:.1f} s", flush=True)
        for problem in strike.problems[:20]:
            print(f"  {problem}", flush=True)

    for engine in given.engine or ["sqlite", "postgresql"]:
        run_all(engine, lambda strike, engine=engine: report(engine, strike), seconds=given.seconds)  # type: ignore[misc]
    print("\n".join(_table(strikes)))
    for engine in dict.fromkeys(engine for engine, _ in strikes):
        tried = {strike.nemesis for used, strike in strikes if used == engine}
        if missing := [nemesis.name for nemesis in NEMESES if nemesis.name not in tried]:
            print(f"not tried on {engine}: {', '.join(missing)}")
    sys.exit(any(strike.problems for _, strike in strikes))


def _table(strikes: list[tuple[str, Strike]]) -> Iterator[str]:
    """Yield a table with a row for each engine and nemesis."""
    yield "| what was done | engine | times | requests | acknowledged | not answered, or 503 | problems | away, s |"
    yield "|---|---|---|---|---|---|---|---|"
    for engine, name in dict.fromkeys((engine, strike.nemesis) for engine, strike in strikes):
        ones = [strike for used, strike in strikes if (used, strike.nemesis) == (engine, name)]
        counts = zip(*((one.attempts, one.acknowledged, one.unknown, len(one.problems)) for one in ones), strict=True)
        cells = [name, engine, len(ones), *(f"{sum(values):,}" for values in counts)]
        cells.append(f"{max(one.away for one in ones):.1f}")
        yield f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
