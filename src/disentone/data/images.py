"""Where a batch's images come from: rendered on its device, or looked up in the cache."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from disentone.data.cache import ImageCache, image_bytes
from disentone.precision import full_float32
from disentone.shapes import Image, Positions, Rows
from disentone.sources import Rendered, Source


class Asked(NamedTuple):
    """Which images: those of rows, or what a synthesiser renders at positions."""

    keys: Rows
    """Row numbers, unless nuisances are renewed or draws lie between the rows."""
    positions: Positions | None = None
    """Where to render; None where the images of rows are looked up."""


class Images:
    """The images of a source.

    Args:
        source: of the images.
        mode: ``on_the_fly``, ``cached`` or ``auto``.
        compile: render by ``torch.compile``, positions to image one graph of few kernels.
        never_repeat: which images of the training are made once only, so that a cache has none of them; empty where
            all are images of rows.
        cache_dir: where ``cached`` keeps its files.
        cache_limit_gb: what they may take together.

    Raises:
        ValueError: for an unknown mode, a negative limit, or a cache that is impossible.

    """

    def __init__(
        self, source: Source, mode: str, compile: bool, never_repeat: str, cache_dir: str | Path, cache_limit_gb: float
    ) -> None:
        if mode not in ("auto", "on_the_fly", "cached"):
            raise ValueError(f"data.mode must be auto, on_the_fly or cached, got {mode}")
        if not cache_limit_gb >= 0:
            raise ValueError(f"data.cache_limit_gb must be 0 or more (.inf for no limit), got {cache_limit_gb}")
        self.source, self.mode, self.compile, self.never_repeat = source, mode, compile, never_repeat
        self.cache_dir, self.limit = Path(cache_dir), cache_limit_gb * 1e9
        self.cache: ImageCache | None = None
        if mode == "cached" and (refusal := self.refusal()):
            raise ValueError(f"data.mode=cached is impossible: {refusal}; use data.mode=on_the_fly")
        self.at: Callable[[Positions, Rows], Image] | None = source.at if isinstance(source, Rendered) else None
        if compile and self.at is not None:
            torch.compiler.reset()  # graphs of an earlier run in this process count against torch's limit of them
            # A pass's smaller last batch gets a graph of its own.
            self.at = torch.compile(self.at, fullgraph=True, dynamic=False)

    def setup(self, device: torch.device) -> None:
        """Take the source to the device; fill the cache, or open it, if the mode asks for one."""
        self.source.to(device)
        if self.mode == "auto":
            self.mode = "cached" if device.type == "cpu" and self.refusal() is None else "on_the_fly"
        if self.mode == "cached" and self.cache is None:
            self.cache = ImageCache(
                self.cache_dir,
                str(self.source.key),
                len(self.source),
                self.source.shape,
                lambda rows: self.made(rows.to(device)),
                self.limit,
            )

    def of_rows(self, rows: Rows) -> Image:
        """Images of rows, from the cache when there is one; on the rows' device."""
        if self.cache is None:
            return self.made(rows)
        return self.cache.read(rows.cpu()).to(rows.device, non_blocking=True)

    def asked(self, asked: Asked) -> Image:
        """Images of a batch that the loaders asked for, on the device where it is."""
        if self.cache is not None or asked.positions is None or self.at is None:
            return self.of_rows(asked.keys)
        self.source.to(asked.keys.device)
        with torch.no_grad(), full_float32():
            return self.at(asked.positions, asked.keys)

    def made(self, rows: Rows) -> Image:
        """Images of rows, anew."""
        with torch.no_grad():
            return self.source.images(rows)

    def refusal(self) -> str | None:
        """Why there can be no cache, None where there can be one."""
        size = image_bytes(len(self.source), self.source.shape)
        if self.source.key is None:
            return "the images of this source lie in memory already"
        if self.compile:
            return "data.compile is of batches that are rendered, not read"
        if self.never_repeat:
            return f"{self.never_repeat} never repeat"
        if size > self.limit:
            return f"the images take {size / 1e9:.1f} GB, data.cache_limit_gb is {self.limit / 1e9:g}"
        return None
