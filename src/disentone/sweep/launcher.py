"""A sweep in one process: jobs are begun one by one, trained together, and ended one by one."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from disentone import config, stacked
from disentone.callbacks import Progress
from disentone.run import train
from disentone.run.build import Run
from disentone.run.folder import RunFolder, State
from disentone.stacked import Member


@dataclass
class Job:
    """A job of the sweep: without a member, there is nothing to train."""

    kind: str = ""
    """Jobs of one kind differ only in what stacked runs may differ in."""
    run: Run | None = None
    make_trainer: Callable[..., pl.Trainer] | None = None
    member: Member | None = None
    folder: RunFolder | None = None
    error: Exception | None = None


def launch(
    context: HydraContext, sweep: DictConfig, overrides: Sequence[Sequence[str]], first: int, vmap: bool | None
) -> list[JobReturn]:
    """Run the jobs of a sweep, as Hydra's own launcher does, but train them together.

    Args:
        context: of Hydra.
        sweep: the config of the sweep.
        overrides: of each job.
        first: the number of the first job.
        vmap: see :func:`disentone.stacked.fit`.

    """
    setup_globals()
    configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    Path(sweep.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
    configs = [_composed(context, sweep, list(words), first + place) for place, words in enumerate(overrides)]
    jobs = [Job() for _ in configs]
    places: dict[str, Any] = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
    # Hydra's callbacks hear of a job once, at its end: nobody should take it for finished before.
    silent = HydraContext(config_loader=context.config_loader, callbacks=Callbacks())
    with ExitStack() as locks:
        for job, cfg in zip(jobs, configs, strict=True):
            run_job(partial(_begin, job, locks), cfg, hydra_context=silent, **places)
        for group in _groups(jobs):
            _fit(group, Path(sweep.hydra.sweep.dir), vmap)
        returns = []
        for job, cfg in zip(jobs, configs, strict=True):
            returns.append(run_job(partial(_end, job), cfg, hydra_context=context, **places))
            configure_log(sweep.hydra.hydra_logging, sweep.hydra.verbose)
    return returns


def _composed(context: HydraContext, sweep: DictConfig, overrides: list[str], number: int) -> DictConfig:
    cfg = context.config_loader.load_sweep_config(sweep, overrides)
    with open_dict(cfg):
        cfg.hydra.job.id = cfg.hydra.job.num = number
    return cfg


def _begin(job: Job, locks: ExitStack, cfg: DictConfig) -> None:
    """Build a run, up to its first step; what goes wrong is kept for its end."""
    try:
        job.folder = RunFolder(cfg.run_dir)
        with train.reported(job.folder):
            config.check(cfg)
            locks.enter_context(job.folder.locked())
            if job.folder.claim(cfg) is State.FINISHED:
                print(f"{job.folder.path} is finished; nothing to do")
                return
            job.kind = _kind(cfg)
            # Training is the group's; a fit of no steps loads the checkpoint and scores the untrained network. Tensors
            # of inference mode could not be trained on afterwards.
            job.run = train.begin(cfg, job.folder, max_steps=0, inference_mode=False)
            stacked.check_trainer(job.run.trainer)
            train.fit(job.run)
            job.member = Member(job.run.system, job.run.data, job.run.trainer)
            job.make_trainer = instantiate(cfg.trainer, _convert_="all")
    except Exception as error:
        job.error = error


def _kind(cfg: DictConfig) -> str:
    """The config, interpolations resolved, but for its seeds and the objective's own numbers."""
    values = config.flat(config.resolved(cfg))
    return json.dumps([(name, str(value)) for name, value in values if not _may_differ(name, value)])


def _may_differ(name: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return name.split(".")[-1] == "seed" or (is_number and name.startswith("objective.") and name.count(".") == 1)


def _groups(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Jobs that can be trained as one: of one kind, with splits of the same sizes, at the same step."""
    groups: dict[Any, list[Job]] = {}
    for job in jobs:
        if job.member is not None:
            sizes = tuple(job.member.data.sizes.values())
            groups.setdefault((job.kind, sizes, job.member.trainer.global_step), []).append(job)
    yield from groups.values()


def _fit(jobs: Sequence[Job], folder: Path, vmap: bool | None) -> None:
    """Train a group; what fails for all is the error of each."""
    members = [job.member for job in jobs if job.member is not None]
    first = jobs[0]
    assert first.run is not None
    assert first.make_trainer is not None
    progress = Progress(f"{len(members)} runs of {first.run.config['name']} at once,", folder)
    try:
        stacked.fit(members, partial(first.make_trainer, callbacks=[progress]), vmap)
    except Exception as error:
        for member in members:
            member.error = member.error or error


def _end(job: Job, cfg: DictConfig) -> None:
    """Test, score and close a run, or say why it is lost."""
    with train.reported(job.folder or RunFolder(cfg.run_dir)):
        error = job.error or (job.member.error if job.member else None)
        if job.run is None:
            if error:
                raise error
            return
        with train.closing_loggers(job.run):
            if error:
                raise error
            train.score(job.run)
        train.finish(job.run)
