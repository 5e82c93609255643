"""All benchmarks, or those named: python -m benchmarks [synthesis frontend ...]; each in a process of its own."""

import subprocess
import sys

BENCHMARKS = ("synthesis", "frontend", "pipeline", "training", "network", "checkpoints", "metrics", "growth")
# By their names only: the one needs a GPU, the other takes minutes.
BY_NAME = ("gpu", "vectorised")


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    if unknown := [name for name in chosen if name not in BENCHMARKS + BY_NAME]:
        sys.exit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS + BY_NAME)}")
    for name in chosen:
        if failed := subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            sys.exit(failed)


if __name__ == "__main__":
    main()
