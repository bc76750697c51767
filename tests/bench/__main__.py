"""Runs the benchmarks and prints a table: `make bench`, or `ARGS="columns" make bench` for one.

Ends with code 1 when a ratio is below the least that we accept.
"""

import importlib
import sys
from pathlib import Path

from tests.bench.measure import Row

LINE = "{:<24}{:>12}   {:<24}{:>12}{:>8}{:>9}"


def main(names: list[str]) -> int:
    """Run benchmarks by name, all by default."""
    found = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    unknown = set(names) - set(found)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
        return 2
    print(LINE.format("ours", "/CPU s", "against", "/CPU s", "ratio", "at least"))
    rows: list[Row] = []
    for name in names or found:
        for row in importlib.import_module(f"tests.bench.bench_{name}").rows():
            rates = f"{row.ours:,.0f}", f"{row.theirs:,.0f}"
            ratio = f"{row.ratio:.2f}", f"{row.least:.2f}"
            print(LINE.format(row.what, rates[0], row.against, rates[1], *ratio), flush=True)
            rows.append(row)
    return 0 if all(row.ratio >= row.least for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
