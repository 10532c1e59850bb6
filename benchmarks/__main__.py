"""Runs the tables named on the command line, or all of them, one after the other."""

import pkgutil
import subprocess
import sys

import benchmarks

TABLES = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in ("__main__", "tables"))


def main(names):
    """Return 0 if every table could be printed; unknown names are refused before anything runs."""
    if unknown := [name for name in names if name not in TABLES]:
        print(f"no table {unknown[0]!r}; there are: {', '.join(TABLES)}", file=sys.stderr)
        return 2
    codes = [subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode for name in names or TABLES]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
