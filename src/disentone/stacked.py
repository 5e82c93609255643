"""Runs that differ only in numbers, trained as one: parameters stacked, one loss, one optimiser step for all.

Each of them, a member, stays an ordinary run with a trainer of its own, whose callbacks, loggers and checkpoints are a
single run's. Only its training steps are done for it, by the group.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils.data import DataLoader

from disentone.callbacks import Progress
from disentone.data import DataModule
from disentone.data.batches import batches_done
from disentone.draws import Draw
from disentone.models import Model
from disentone.objectives import Objective, Terms
from disentone.shapes import Batch, Scalar
from disentone.system import System, scalars, validate_after_steps

PerMember = Float[Tensor, "member"]
# Every entry of a parameter moves by its own gradients alone, so that a stack moves as its members would.
ELEMENTWISE = {
    getattr(torch.optim, name)
    for name in ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"]
}
# What an optimiser's state holds once for a whole parameter, the same for all members.
WHOLE = {"step", "mu_product", "eta", "mu"}
TRAINING_HOOKS = [name for name in vars(pl.Callback) if name.startswith(("on_train", "on_before", "on_after"))]


class Member:
    """One run of a group.

    Args:
        system: its network and objective.
        data: its data, set up.
        trainer: that was given both and has trained no step (``max_steps=0``), perhaps after loading a checkpoint.

    """

    def __init__(self, system: System, data: DataModule, trainer: pl.Trainer) -> None:
        self.system, self.data, self.trainer, self.loop = system, data, trainer, trainer.fit_loop
        self.error: Exception | None = None
        """Why it is lost."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those of its network, in the order of the group's stacks."""
        return list(self.system.model.parameters())

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What it would be trained by alone; it holds the member's part of the group's state."""
        return self.trainer.optimizers[0]

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """What fails here fails this member alone."""
        try:
            yield
        except Exception as error:
            self.error = error

    def validate(self) -> None:
        """As in the midst of a fit: terms and scores are logged, pictures drawn, the best checkpoint kept."""
        shared, self.trainer.fit_loop = self.trainer.fit_loop, self.loop
        # A loop of its own, told the step: Lightning takes a loop's training data from it when a validation begins.
        self.loop.load_state_dict(shared.state_dict())
        with self.surviving():
            self.trainer.validate(self.system, self.data, verbose=False)
        self.trainer.fit_loop = shared
        if self.error is None:
            self.keep("on_validation_end")

    def keep(self, hook: str, *arguments: Any) -> None:
        """Let its checkpoint callbacks do what they do in a hook of training."""
        with self.surviving():
            # They save nothing unless the trainer fits, and it has validated.
            self.trainer.state.fn = TrainerFn.FITTING
            for callback in self.trainer.checkpoint_callbacks:
                getattr(callback, hook)(self.trainer, self.system, *arguments)

    def log(self, terms: dict[str, float], step: int) -> None:
        """Write the terms of a training step as Lightning writes them."""
        with self.surviving():
            for logger in self.trainer.loggers:
                logger.log_metrics({**terms, "epoch": self.trainer.current_epoch}, step)
                logger.save()


def fit(members: Sequence[Member], make_trainer: Callable[..., pl.Trainer], vectorised: bool | None = None) -> None:
    """Train members to the end, those that are lost excepted: their ``error`` says why.

    Args:
        members: standing at the same step, with splits of the same sizes.
        make_trainer: of the group, with the settings that each member would be trained with.
        vectorised: compute all members at once by ``torch.func.vmap``, or one after the other within the step, which
            is faster on a CPU and possible with every network; by default what suits device and network.

    Raises:
        ValueError: for runs that cannot be trained as one, with the reason.

    """
    first = members[0].trainer
    system = StackedSystem(members, vectorised)
    # Loggers, checkpoints and the check before training are each member's.
    own = {"logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
    trainer = make_trainer(limit_val_batches=int(first.limit_val_batches > 0), **own)
    check_trainer(trainer)
    if first.global_step > 0:
        trainer.fit_loop.load_state_dict(first.fit_loop.state_dict())
    for member in members:
        # So that step and epoch of its logs, pictures and checkpoints are the group's.
        member.trainer.fit_loop = trainer.fit_loop
    trainer.fit(system, StackedData(system.streams))
    system.find_lost()


class StackedSystem(pl.LightningModule):
    """Networks of one shape, each parameter stacked to [member ...]; the loss is the sum of the members' losses.

    So the gradient of each member is its own: a member whose loss is not finite harms no other.

    Args:
        members: of the group.
        vectorised: see :func:`fit`.

    Raises:
        ValueError: for a member that cannot be stacked, with the reason.

    """

    losses: PerMember

    def __init__(self, members: Sequence[Member], vectorised: bool | None = None) -> None:
        for member in members:
            check_member(member)
        super().__init__()
        self.members, self.vectorised = members, vectorised
        first = members[0].system
        self.one = _One(copy.deepcopy(first.model).requires_grad_(False), copy.deepcopy(first.objective))
        self.names = [f"model.{name}" for name, _ in first.model.named_parameters()]
        parts = zip(*(member.parameters for member in members), strict=True)
        self.stacks = nn.ParameterList(nn.Parameter(torch.stack(part).detach()) for part in parts)
        seeds = list(dict.fromkeys(member.data.seed for member in members))
        self.stream_of = [seeds.index(member.data.seed) for member in members]
        self.streams = [members[self.stream_of.index(stream)].data for stream in range(len(seeds))]
        self.seeds = torch.tensor([member.system.seed for member in members])
        self.strengths = _strengths([member.system.objective for member in members])
        self.unlogged: tuple[int, dict[str, PerMember]] | None = None
        for number, member in enumerate(members):
            # A checkpoint, whenever one is written, holds the weights of that moment.
            member.system.register_state_dict_pre_hook(  # type: ignore[no-untyped-call]
                lambda *_, number=number: self.hand_back(number)
            )

    @property
    def alive(self) -> list[Member]:
        """Members that are not lost."""
        return [member for member in self.members if member.error is None]

    # What Lightning calls.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser for all stacks, going on from the members' states."""
        optimizer = self.members[0].system.optimizer(self.stacks)
        if type(optimizer) not in ELEMENTWISE:
            raise ValueError(
                f"optimizer: {type(optimizer).__name__} does not move every number of a parameter by itself, so that "
                f"stacked runs would disturb one another; take {', '.join(sorted(o.__name__ for o in ELEMENTWISE))}, "
                "or another launcher"
            )
        for number, stack in enumerate(self.stacks):
            states = [member.optimizer.state.get(member.parameters[number], {}) for member in self.members]
            if states[0]:
                optimizer.state[stack] = {
                    key: torch.stack([state[key] for state in states]) if _is_part(key, value) else value
                    for key, value in states[0].items()
                }
        return optimizer

    def on_fit_start(self) -> None:
        """Choose how the members are computed, where that was left open."""
        if self.vectorised is None:
            # cuDNN's recurrent networks have no rule for one more axis.
            recurrent = any(isinstance(module, nn.RNNBase) for module in self.one.modules())
            self.vectorised = self.device.type != "cpu" and not recurrent
        self.seeds = self.seeds.to(self.device)
        self.strengths = {name: values.to(self.device) for name, values in self.strengths.items()}

    def training_step(self, batches: Sequence[Batch], batch_idx: int) -> Scalar:
        """The sum of the members' losses, each on the batch of its own data."""
        step, every = self.global_step, self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        logged = every > 0 and (step + 1) % every == 0
        compute = self._at_once if self.vectorised else self._one_by_one
        terms = compute(batches, step, logged)
        self.losses = terms["loss"].detach()
        self.unlogged = (step, terms) if logged else None
        return terms["loss"].sum()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the step's terms to the members' loggers, and let their checkpoints be written."""
        # Of several batches that make one step, the last is logged.
        if self.unlogged is not None and self.unlogged[0] < self.global_step:
            self._log(*self.unlogged)
            self.unlogged = None
        for member in self.alive:
            member.keep("on_train_batch_end", outputs, batch, batch_idx)
        validate_after_steps(self.trainer)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing: the time of a validation is the group's, what happens is each member's."""

    def on_validation_end(self) -> None:
        """Validate one member after the other."""
        self.find_lost()
        for number, member in enumerate(self.members):
            if member.error is None:
                self.hand_back(number)
                member.validate()
        # Each validation took the data to a trainer of its own.
        self.trainer.datamodule.setup("fit")  # type: ignore[attr-defined]

    def on_train_epoch_end(self) -> None:
        """Let checkpoints be written that are kept by epochs."""
        for member in self.alive:
            member.keep("on_train_epoch_end")

    # What the members share.

    def find_lost(self) -> None:
        """Mark the members whose last loss is not finite; training ends when none is left."""
        if not hasattr(self, "losses"):
            return  # no step was needed
        for member, loss in zip(self.members, self.losses.tolist(), strict=True):
            if member.error is None and not math.isfinite(loss):
                member.error = ValueError(
                    f"the loss is {loss} at step {self.global_step}; the other runs of the sweep go on without this "
                    "one. A smaller optimizer.lr or objective.beta may keep it finite"
                )
        if not self.alive:
            self.trainer.should_stop = True

    @torch.no_grad()
    def hand_back(self, number: int) -> None:
        """Copy weights and optimiser state of a member from the stacks into its own network and optimiser."""
        member, group = self.members[number], self.trainer.optimizers[0]
        for own, stack in zip(member.parameters, self.stacks, strict=True):
            own.copy_(stack[number])
            member.optimizer.state[own] = {
                key: value[number].to(own.device, copy=True) if _is_part(key, value) else copy.copy(value)
                for key, value in group.state.get(stack, {}).items()
            }

    def _log(self, step: int, terms: dict[str, PerMember]) -> None:
        # One transfer for all terms of all members.
        values = torch.stack([term.detach().to(self.device) for term in terms.values()], dim=1).tolist()
        self.find_lost()
        for member, row in zip(self.members, values, strict=True):
            if member.error is None:
                member.log({f"train/{name}": value for name, value in zip(terms, row, strict=True)}, step)

    def _one_by_one(self, batches: Sequence[Batch], step: int, logged: bool) -> dict[str, PerMember]:
        # Taken apart once: a row picked from a stack would have a gradient of the whole stack's size.
        parts = zip(*(stack.unbind() for stack in self.stacks), strict=True)
        number, found = batches_done(self.trainer), []
        for index, (stream, part) in enumerate(zip(self.stream_of, parts, strict=True)):
            batch = batches[stream]
            strengths = {name: values[index] for name, values in self.strengths.items()}
            seen = Batch(batch.image, batch.rows, Draw(self.members[index].system.seed, number, batch.rows))
            found.append(
                functional_call(self.one, dict(zip(self.names, part, strict=True)) | strengths, (seen, step, logged))
            )
        return {name: torch.stack([terms[name] for terms in found]) for name in found[0]}

    def _at_once(self, batches: Sequence[Batch], step: int, logged: bool) -> dict[str, PerMember]:
        number = batches_done(self.trainer)

        def terms(part: dict[str, Tensor], seed: Tensor, image: Tensor, rows: Tensor) -> Any:
            return functional_call(self.one, part, (Batch(image, rows, Draw(seed, number, rows)), step, logged))

        image = torch.stack([batch.image for batch in batches])[self.stream_of]
        rows = torch.stack([batch.rows for batch in batches])[self.stream_of]
        stacks = dict(zip(self.names, self.stacks, strict=True)) | self.strengths
        try:
            return vmap(terms)(stacks, self.seeds, image, rows)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"network or objective cannot be computed for all runs at once ({reason}); "
                "hydra.launcher.vmap=false computes them one after the other within a step"
            ) from error


class StackedData(pl.LightningDataModule):
    """A batch of each of several data modules, from the same step on.

    Args:
        streams: set up, with training splits of the same size.

    """

    def __init__(self, streams: Sequence[DataModule]) -> None:
        super().__init__()
        self.streams = streams

    def setup(self, stage: str | None = None) -> None:
        """Let the batches be counted by the group's steps."""
        for data in self.streams:
            data.trainer = self.trainer

    def train_dataloader(self) -> list[DataLoader[Any]]:
        """One loader of each; Lightning draws from all at every step."""
        return [data.train_dataloader() for data in self.streams]

    def val_dataloader(self) -> DataLoader[Any]:
        """One item, so that Lightning calls for a validation at its time."""
        return DataLoader([0])  # type: ignore[arg-type]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """What was carried becomes images where they are on disk."""
        if not self.trainer.training:  # type: ignore[union-attr]
            return batch
        return [data.on_before_batch_transfer(part, 0) for data, part in zip(self.streams, batch, strict=True)]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """What was carried becomes images, on the device."""
        if not self.trainer.training:  # type: ignore[union-attr]
            return batch
        return [data.on_after_batch_transfer(part, 0) for data, part in zip(self.streams, batch, strict=True)]


class _One(nn.Module):
    """A model and its objective, so that a call of this module may be given any member's parameters and strengths."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch, step: int, logged: bool) -> Terms:
        """Single numbers: all that are logged, or the loss alone."""
        terms = self.objective(self.model, batch, step)
        return dict(scalars(self.model, terms)) if logged else {"loss": terms["loss"]}


# What cannot be stacked.


def check_member(member: Member) -> None:
    """Raise ValueError for a run whose training another one would change, or that Lightning alone can train."""
    system, model = member.system, member.system.model
    if any(True for _ in system.objective.parameters()):
        raise ValueError("an objective with parameters of its own cannot be stacked; take another launcher")
    if system.objective.couples_rows or system.objective.labels or member.data.views is not None:
        raise ValueError("an objective that learns from pairs or labels cannot be stacked; take another launcher")
    if model.state_dict().keys() != dict(model.named_parameters()).keys():
        raise ValueError("a network with running statistics cannot be stacked; take another launcher")
    for callback in member.trainer.callbacks:  # type: ignore[attr-defined]
        hooks = [name for name in TRAINING_HOOKS if getattr(type(callback), name) is not getattr(pl.Callback, name)]
        # Progress is shown of the group.
        if hooks and not isinstance(callback, Checkpoint | Progress):
            raise ValueError(
                f"callbacks: {type(callback).__name__} acts in {hooks[0]}, which happens for a group of stacked runs "
                "and not for each; leave it out or take another launcher"
            )


def check_trainer(trainer: pl.Trainer) -> None:
    """Raise ValueError for settings under which stacked runs would disturb one another."""
    if trainer.gradient_clip_val and trainer.gradient_clip_algorithm != "value":
        raise ValueError(
            "trainer.gradient_clip_val clips the norm of all stacked runs together; "
            "trainer.gradient_clip_algorithm=value clips each number by itself, or take another launcher"
        )
    if trainer.precision == "16-mixed":
        raise ValueError(
            "trainer.precision=16-mixed drops the step of all stacked runs when one of them overflows; "
            "take bf16-mixed, 32-true or another launcher"
        )
    if trainer.world_size > 1:
        raise ValueError(f"stacked runs share one device; expected trainer.devices=1, got {trainer.world_size}")


def _is_part(key: str, value: Any) -> bool:
    """Whether an entry of an optimiser's state has a number for each of a parameter's."""
    return isinstance(value, Tensor) and key not in WHOLE


def _strengths(objectives: Sequence[Objective]) -> dict[str, PerMember]:
    """The buffers of objectives that are alike in all else, each stacked.

    Raises:
        ValueError: for objectives that differ in more than their buffers.

    """
    for name, value in vars(objectives[0]).items():
        if name != "_buffers" and not all(_alike(vars(other)[name], value) for other in objectives):
            raise ValueError(
                f"objectives that differ in their {name} cannot be trained as one; a number that may differ is a "
                "buffer of its objective (register_buffer), or take another launcher"
            )
    buffers = [dict(objective.named_buffers()) for objective in objectives]
    return {f"objective.{name}": torch.stack([found[name] for found in buffers]) for name in buffers[0]}


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are of one type and, as far as they are objects, have like attributes."""
    if type(one) is not type(other) or not hasattr(one, "__dict__"):
        return bool(one == other)
    return vars(one).keys() == vars(other).keys() and all(
        _alike(vars(one)[name], vars(other)[name]) for name in vars(one)
    )
