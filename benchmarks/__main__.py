"""All benchmarks, or those named: python -m benchmarks [synthesis frontend ...]; each in a process of its own."""

import subprocess
import sys

BENCHMARKS = ("synthesis", "frontend", "pipeline", "training", "network", "checkpoints", "metrics", "growth")


def main() -> None:
    chosen = sys.argv[1:] or BENCHMARKS
    if unknown := [name for name in chosen if name not in BENCHMARKS]:
        sys.exit(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    for name in chosen:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
