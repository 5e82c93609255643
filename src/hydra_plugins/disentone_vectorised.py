"""``hydra/launcher=vectorised``; Hydra looks for launchers in this package only, and imports it at every start."""

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class VectorisedLauncher(Launcher):
    """Trains the jobs of a sweep together, see :mod:`disentone.sweep.launcher`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what every job needs; the task is disentone's own."""
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Train all jobs; answers Hydra's record of each."""
        # Only now: other commands and applications should not have to wait for torch.
        from disentone.sweep.launcher import launch

        return launch(self.hydra_context, self.config, job_overrides, initial_job_idx)
