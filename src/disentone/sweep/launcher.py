"""A sweep in one process: jobs are begun one by one, trained together, and ended one by one."""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor

from disentone import config
from disentone.callbacks import Progress
from disentone.run import train
from disentone.run.build import Run
from disentone.run.folder import RunFolder, State
from disentone.sweep import stacked
from disentone.sweep.stacked import Member

# With other values a group's training would not be that of each of its runs.
USUAL = {"devices": 1, "num_nodes": 1, "precision": "32-true", "accumulate_grad_batches": 1, "gradient_clip_val": None}
USUAL |= {"max_epochs": -1, "max_time": None, "limit_train_batches": 1.0, "check_val_every_n_epoch": None}
HOOKS = [name for name in vars(pl.Callback) if name.startswith(("on_train", "on_before", "on_after"))]


class Job(NamedTuple):
    """What is left of a job between its beginning and its end: something to train, or why not."""

    folder: RunFolder
    run: Run | None = None
    member: Member | None = None
    error: Exception | None = None


def launch(context: HydraContext, sweep: DictConfig, overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
    """Run the jobs of a sweep, as Hydra's own launcher does, but train them together.

    Args:
        context: of Hydra.
        sweep: the config of the sweep.
        overrides: of each job.
        first: the number of the first job.

    """
    setup_globals()
    configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    folder = Path(sweep.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    configs = [_composed(context, sweep, words, first + place) for place, words in enumerate(overrides)]
    places: dict[str, Any] = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
    # Hydra's callbacks hear of a job once, at its end: nobody should take it for finished before.
    silent = HydraContext(config_loader=context.config_loader, callbacks=Callbacks())
    with ExitStack() as locks:
        begun = [run_job(partial(_begin, locks), cfg, hydra_context=silent, **places) for cfg in configs]
        jobs: list[Job] = [result.return_value for result in begun]
        train_together([(job.run, job.member) for job in jobs if job.run and job.member], folder)
        returns = []
        for job, cfg in zip(jobs, configs, strict=True):
            returns.append(run_job(partial(_end, job), cfg, hydra_context=context, **places))
            configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    return returns


def _composed(context: HydraContext, sweep: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    cfg = context.config_loader.load_sweep_config(sweep, list(overrides))
    with open_dict(cfg):
        cfg.hydra.job.id = cfg.hydra.job.num = number
    return cfg


def _begin(locks: ExitStack, cfg: DictConfig) -> Job:
    """Build a run, up to its first step; what goes wrong is kept for its end."""
    run, folder = None, RunFolder(cfg.run_dir)
    try:
        with train.reported(folder):
            config.check(cfg)
            locks.enter_context(folder.locked())
            if folder.claim(cfg) is State.FINISHED:
                print(f"{folder.path} is finished; nothing to do")
                return Job(folder)
            # A fit of no steps loads the checkpoint and scores the untrained network. Tensors of inference mode could
            # not be trained on afterwards.
            run = train.begin(cfg, folder, max_steps=0, inference_mode=False)
            check(run)
            train.fit(run)
            return Job(folder, run, Member(run.system, run.data, run.trainer, seeds(run.config)))
    except Exception as error:
        return Job(folder, run, error=error)


def check(run: Run) -> None:
    """Raise ValueError for what Lightning does in a training of one run alone."""
    settings = run.config["trainer"]
    needed: dict[str, Any] = {name: usual for name, usual in USUAL.items() if settings.get(name, usual) != usual}
    if not isinstance(settings["val_check_interval"], int):
        needed["val_check_interval"] = "a number of steps"
    for name, expected in needed.items():
        raise ValueError(
            f"runs that are trained as one need trainer.{name}={expected}, got {settings[name]}; take another launcher"
        )
    for callback in run.trainer.callbacks:  # type: ignore[attr-defined]
        acts = [name for name in HOOKS if getattr(type(callback), name) is not getattr(pl.Callback, name)]
        if acts and not isinstance(callback, Checkpoint | Progress):
            raise ValueError(
                f"callbacks: {type(callback).__name__} acts in {acts[0]}, which happens for all runs that are trained "
                "as one and not for each; leave it out or take another launcher"
            )


def train_together(runs: Iterable[tuple[Run, Member]], folder: Path) -> None:
    """Train alike runs together from milestone to milestone, after each of which they may be alike no more."""
    while runs := [(run, member) for run, member in runs if member.error is None and _next(run) is not None]:
        groups: dict[str, list[tuple[Run, Member]]] = {}
        for run, member in runs:
            member.reach()
            groups.setdefault(kind(run), []).append((run, member))
        for group in groups.values():
            first, members = group[0][0], [member for _, member in group if member.error is None]
            progress = Progress(f"{len(members)} runs of {first.config['name']} at once,", folder)
            own = {"logger": False, "enable_checkpointing": False, "limit_val_batches": 0, "max_steps": _next(first)}
            try:
                make = instantiate(first.config["trainer"], _convert_="all")
                stacked.fit(members, make(callbacks=[progress], accelerator=first.trainer.accelerator, **own))
            except Exception as error:
                for member in members:
                    member.error = error


def _next(run: Run) -> int | None:
    """The next step at which a run's training is interrupted or ends; None where it has ended."""
    steps: list[int] = [*run.system.objective.milestones, run.config["trainer"]["max_steps"]]
    return min((step for step in steps if run.trainer.global_step < step <= steps[-1]), default=None)


def kind(run: Run) -> str:
    """What runs have in common that are trained as one: all but seeds and the buffers of their objectives."""
    numbers = {f"objective.{name}" for name, _ in run.system.objective.named_buffers()}
    values = config.flat(run.config)
    alike = [(name, str(value)) for name, value in values if not (name in numbers or _is_seed(name))]
    state = [value for value in run.system.state_dict().values() if not isinstance(value, Tensor)]
    return json.dumps([alike, list(run.data.sizes.values()), run.trainer.global_step, state])


def seeds(settings: dict[str, Any]) -> str:
    """All seeds of a config: runs that have the same are shown the same batches."""
    return json.dumps([(name, value) for name, value in config.flat(settings) if _is_seed(name)])


def _is_seed(name: str) -> bool:
    return name.split(".")[-1] == "seed"


def _end(job: Job, _: DictConfig) -> None:
    """Test, score and close a run, or say why it is lost."""
    error = job.error or (job.member.error if job.member else None)
    with train.reported(job.folder):
        with train.closing_loggers(job.run) if job.run else nullcontext():
            if error:
                raise error
            if job.run:
                train.score(job.run)
        if job.run:
            train.finish(job.run)
