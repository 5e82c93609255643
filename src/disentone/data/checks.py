"""What data cannot be, said before anything is made of it."""

from disentone.data.held_out import HeldOut
from disentone.data.transforms import Transforms
from disentone.data.views import Partners, Views, grid_of
from disentone.sources import Rendered, Source

# Of a batch's sounds alone; rendering and network take several times as much.
MOST_BYTES = 2**34


def check_source(
    source: Source,
    views: Views | None,
    held_out: HeldOut | None,
    continuous: bool,
    renew_nuisances: bool,
    compile: bool,
) -> None:
    """Raise ValueError for settings that ask of the source what it cannot, or contradict one another."""
    name, between = type(source).__name__, isinstance(source, Rendered)
    for key, asked in (("continuous", continuous), ("renew_nuisances", renew_nuisances), ("compile", compile)):
        if asked and not between:
            raise ValueError(f"data.{key} needs a source that renders, such as source=tones; {name} does not")
    if renew_nuisances and isinstance(source, Rendered) and not source.is_random:
        raise ValueError(
            "data.renew_nuisances renews what no factor tells of, and this synth has nothing of that kind; give it "
            "noise, random_phase, onset or level_db, or leave data.renew_nuisances out"
        )
    if views is not None:
        views.check(source)
    if continuous and isinstance(views, Partners):
        raise ValueError("views relate rows of the grid to one another; they cannot go with data.continuous")
    if held_out is None:
        return
    if continuous:
        raise ValueError("data.held_out leaves rows of the grid out; it cannot go with data.continuous")
    if isinstance(views, Transforms):
        raise ValueError(
            "nobody knows where a transformed image would lie among the factors, so it might show what data.held_out "
            "leaves out; take other views, or leave data.held_out out"
        )
    grid_of(source, "data.held_out leaves out")


def check_audio_size(batch_size: int, num_samples: int) -> None:
    """Raise ValueError for a batch whose sounds alone take more memory than there can be."""
    if (size := 4 * batch_size * num_samples) > MOST_BYTES:
        raise ValueError(
            f"a batch of {batch_size} sounds of {num_samples:,} samples takes {size / 2**30:,.0f} GiB, at most "
            f"{MOST_BYTES / 2**30:.0f} are possible; use a smaller synth.duration, synth.sample_rate or data.batch_size"
        )
