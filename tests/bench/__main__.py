"""Runs the benchmarks and prints a table: `make bench`, or `make bench ARGS=columns` for one.

With `--strict` it ends with code 1 when a ratio is below its budget.
"""

import importlib
import sys
from pathlib import Path

from tests.bench.measure import Row

LINE = "{:<24}{:>12}   {:<24}{:>12}{:>8}{:>9}  {}"


def main(names: list[str]) -> int:
    """Run benchmarks by name, all by default."""
    found = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    strict = "--strict" in names
    names = [name for name in names if name != "--strict"]
    unknown = set(names) - set(found)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
        return 2
    print(LINE.format("ours", "/CPU s", "against", "/CPU s", "ratio", "budget", ""))
    rows: list[Row] = []
    for name in names or found:
        for row in importlib.import_module(f"tests.bench.bench_{name}").rows():
            rates = f"{row.ours:,.0f}", f"{row.theirs:,.0f}"
            ratio = f"{row.ratio:.2f}", f"{row.least:.2f}"
            verdict = "" if row.ratio >= row.least else "below"
            print(LINE.format(row.what, rates[0], row.against, rates[1], *ratio, verdict))
            rows.append(row)
    below = [row for row in rows if row.ratio < row.least]
    return 1 if strict and below else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
