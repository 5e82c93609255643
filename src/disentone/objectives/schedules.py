"""How much of beta applies at a step: functions of the step alone, so that resuming is exact."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """A factor in [0, 1] for every optimiser step."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The factor at ``step``, counted from 0."""


class Constant(Schedule):
    """All of it, always."""

    def __call__(self, step: int) -> float:
        """1."""
        return 1.0


class Warmup(Schedule):
    """Linear from 0 to 1 (Sonderby et al. 2016).

    Args:
        steps: after which the whole of beta applies.

    Raises:
        ValueError: for less than one step.

    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f"a warm-up needs at least 1 step, got {steps}{_remedy('steps', steps)}")
        self.steps = steps

    def __call__(self, step: int) -> float:
        """step / steps, at most 1."""
        return min(1.0, step / self.steps)


class Cyclic(Schedule):
    """A linear rise and a plateau, over and over (Fu et al. 2019, "Cyclical annealing schedule").

    Args:
        period: steps of one cycle.
        rise: share of the cycle spent rising; 1 is a saw tooth.

    Raises:
        ValueError: for a period below one step or a rise outside (0, 1].

    """

    def __init__(self, period: int, rise: float = 0.5) -> None:
        if period < 1:
            raise ValueError(f"a cycle needs at least 1 step, got {period}{_remedy('period', period)}")
        if not 0 < rise <= 1:
            raise ValueError(f"rise must lie in (0, 1], got {rise}")
        self.period, self.rise = period, rise

    def __call__(self, step: int) -> float:
        """The position in the cycle over the rise, at most 1."""
        return min(1.0, (step % self.period) / (self.period * self.rise))


def _remedy(key: str, steps: int) -> str:
    """What to do about a share of a number of steps that is not given: trainer.max_steps is then -1."""
    if steps != -1:
        return ""
    return f"; a run that is counted in epochs (trainer.max_steps=-1) needs objective.schedule.{key}=<number of steps>"
