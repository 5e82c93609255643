"""What other ways to run the network change of a training step: python -m benchmarks.network.

The networks of the quickstart and of ``tones`` on one thread, a batch of 64: as configured, with channels last, with
``torch.compile`` and with Adam's fused step. Only channels last pays on a CPU: ``model.channels_last``.
"""

import warnings
from collections.abc import Callable
from statistics import median

import torch
from benchmarks.cases import config
from benchmarks.measure import in_turns, ratio, report, threads
from hydra.utils import instantiate

from disentone.shapes import Batch

SHAPES = {"quickstart": (1, 80, 16), "tones": (1, 80, 63)}


def step(experiment: str, last: bool = False, compiled: bool = False, fused: bool = False) -> Callable[[], None]:
    """One step of the optimiser, the batch in memory."""
    cfg, shape = config(f"experiment={experiment}"), SHAPES[experiment]
    vae, objective = instantiate(cfg.model, _convert_="all")(shape), instantiate(cfg.objective)
    layout = torch.channels_last if last else torch.contiguous_format
    vae = vae.to(memory_format=layout)
    image = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    batch = Batch(image, torch.arange(64), Draw(0, 0, torch.arange(64)))
    if compiled:
        vae.encoder.compile()
        vae.decoder.compile()
    optimizer = torch.optim.Adam(vae.parameters(), fused=fused)

    def stepped() -> None:
        optimizer.zero_grad()
        objective(vae, batch, 0)["loss"].backward()
        optimizer.step()

    return stepped


def main() -> None:
    warnings.simplefilter("ignore")
    rows: dict[str, list[float | None]] = {}
    for experiment in SHAPES:
        versions = {
            "as configured": step(experiment),
            "channels last": step(experiment, last=True),
            "compiled": step(experiment, compiled=True),
            "channels last, compiled": step(experiment, last=True, compiled=True),
            "fused Adam": step(experiment, fused=True),
        }
        with threads(1):
            seconds = in_turns(versions)
        plain = seconds["as configured"]
        rows |= {f"{experiment}, {name}": [1000 * median(s), ratio(plain, s)] for name, s in seconds.items()}
    report("network", "A training step, one thread", ("ms", "times as fast"), rows)


if __name__ == "__main__":
    main()
