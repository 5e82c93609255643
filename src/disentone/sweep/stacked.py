"""Runs that differ only in numbers, trained as one: every tensor stacked, one loss, one optimiser step for all.

Each of them, a member, stays an ordinary run, whose own trainer scores it, logs it and keeps its checkpoints. Only its
training steps are done for it, by the group.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.apply_func import move_data_to_device
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.func import functional_call, vmap

from disentone.data import DataModule
from disentone.data.batches import Carried
from disentone.draws import Draw
from disentone.shapes import Batch, Scalar
from disentone.system import System, is_logged_step

# With these every number of a parameter moves by its own gradients alone, so that a stack moves as its members would.
ELEMENTWISE = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")
SHOWN = ("image", "rows", "partner", "labels")


class Member:
    """One run of a group. What fails in it fails it alone, and ``error`` then says why.

    Args:
        system: its model and objective.
        data: its data, set up.
        trainer: that was given both and has trained no step (``max_steps=0``), perhaps after loading a checkpoint.
        stream: members of one stream are shown the same batches.

    """

    def __init__(self, system: System, data: DataModule, trainer: pl.Trainer, stream: str) -> None:
        self.system, self.data, self.trainer, self.stream, self.loop = system, data, trainer, stream, trainer.fit_loop
        self.error: Exception | None = None

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """Keep an error instead of raising it."""
        try:
            yield
        except Exception as error:
            self.error = error

    def reach(self) -> None:
        """Let the objective act where the run stands at one of its milestones."""
        if (step := self.trainer.global_step) in self.system.objective.milestones:
            with self.surviving():
                self.system.reach(step, self.trainer.optimizers[0], self.data)

    def validate(self) -> None:
        """As in the midst of a fit: terms and scores are logged, pictures drawn, the best checkpoint kept."""
        shared, self.trainer.fit_loop = self.trainer.fit_loop, self.loop
        # A loop of its own, told the step: Lightning takes a loop's training data from it when a validation begins.
        self.loop.load_state_dict(shared.state_dict())
        with self.surviving():
            self.trainer.validate(self.system, self.data, verbose=False)
        self.trainer.fit_loop = shared
        self.keep("on_validation_end")

    def keep(self, hook: str, *arguments: Any) -> None:
        """Let its checkpoint callbacks do what they do in a hook of training."""
        with self.surviving():
            # They save nothing unless the trainer fits, and it has validated.
            self.trainer.state.fn = TrainerFn.FITTING
            for callback in self.trainer.checkpoint_callbacks if self.error is None else ():
                getattr(callback, hook)(self.trainer, self.system, *arguments)


def fit(members: Sequence[Member], trainer: pl.Trainer) -> None:
    """Train members that stand at the same step to the last step of the group's trainer.

    Args:
        members: alike in all but their seeds and the buffers of their objectives.
        trainer: of the group, which only counts steps: without loggers, checkpoints and validations.

    Raises:
        ValueError: for an optimiser, network or objective that cannot be stacked, with the reason.

    """
    group = Group(members)
    if members[0].trainer.global_step > 0:
        trainer.fit_loop.load_state_dict(members[0].loop.state_dict())
    for member in members:
        # So that step and epoch of its logs, pictures and checkpoints are the group's.
        member.trainer.fit_loop = trainer.fit_loop
    trainer.fit(group)
    for number, member in enumerate(members):
        group.hand_back(number)
        group.hooks[number].remove()
        member.loop.load_state_dict(group.progress)
        member.trainer.fit_loop = member.loop


class Group(pl.LightningModule):
    """A system whose tensors have one more axis, the members'; the loss is the sum of the members' losses.

    So the gradient of each member is its own, and one whose loss is not finite harms no other.
    """

    stream_of: Tensor
    seeds: Tensor

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members, self.systems = members, [member.system for member in members]
        first = self.systems[0]
        self.stacked = System(copy.deepcopy(first.model), copy.deepcopy(first.objective), first.optimizer)
        for stack, *parts in zip(*map(_tensors, (self.stacked, *self.systems)), strict=True):
            stack.data = torch.stack([part.detach() for part in parts])
        of_stream = {member.stream: member.data for member in members}
        self.data = list(of_stream.values())
        self.register_buffer("stream_of", torch.tensor([list(of_stream).index(member.stream) for member in members]))
        self.register_buffer("seeds", torch.tensor([system.seed for system in self.systems]))
        # A checkpoint, whenever one is written in training, holds the weights of that moment.
        hooks = [lambda *_, number=number: self.hand_back(number) for number in range(len(members))]
        pairs = zip(self.systems, hooks, strict=True)
        self.hooks = [system.register_state_dict_pre_hook(hook) for system, hook in pairs]  # type: ignore[no-untyped-call]

    def train_dataloader(self) -> list[Any]:
        """One loader for each stream; Lightning draws from all at every step."""
        return [data.train_dataloader() for data in self.data]

    def transfer_batch_to_device(self, batch: list[Carried], device: torch.device, dataloader_idx: int) -> list[Batch]:
        """What was carried becomes images."""
        asked = [data.on_before_batch_transfer(part, 0) for data, part in zip(self.data, batch, strict=True)]
        moved = move_data_to_device(asked, device)
        return [data.on_after_batch_transfer(part, 0) for data, part in zip(self.data, moved, strict=True)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser for all stacks, going on from the members' states."""
        optimizer = self.stacked.configure_optimizers()
        if type(optimizer).__name__ not in ELEMENTWISE:
            raise ValueError(
                f"optimizer: {type(optimizer).__name__} does not move every number of a parameter by itself, so that "
                f"stacked runs would disturb one another; take {', '.join(ELEMENTWISE)}, or another launcher"
            )
        owners = [member.trainer.optimizers[0].state for member in self.members]
        for stack, *parts in zip(self.stacked.parameters(), *(one.parameters() for one in self.systems), strict=True):
            states = [owner[part] for owner, part in zip(owners, parts, strict=True) if part in owner]
            for key, value in states[0].items() if states else ():
                is_part = _is_part(key, value)
                optimizer.state[stack][key] = (
                    torch.stack([state[key] for state in states]) if is_part else copy.copy(value)
                )
        return optimizer

    def training_step(self, batches: Sequence[Batch], batch_idx: int) -> Scalar:
        """The sum of the members' losses, each on the batch of its own stream."""
        step, self.is_logged = self.global_step, is_logged_step(self.members[0].trainer)
        self.stacked.set_rate(step, self.trainer.optimizers[0])

        def terms(tensors: dict[str, Tensor], seed: Tensor, shown: dict[str, Tensor]) -> Any:
            draw = Draw(seed, step, shown["rows"])
            batch = Batch(shown["image"], shown["rows"], draw, shown.get("partner"), shown.get("labels"))
            return functional_call(self.stacked, tensors, (batch, step, self.is_logged))

        names = [name for name in SHOWN if getattr(batches[0], name) is not None]
        shown = {name: torch.stack([getattr(batch, name) for batch in batches])[self.stream_of] for name in names}
        tensors = dict(self.stacked.named_parameters()) | dict(self.stacked.named_buffers())
        try:
            self.terms: dict[str, Tensor] = vmap(terms)(tensors, self.seeds, shown)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"network or objective cannot be computed for all runs at once ({reason}); take another launcher"
            ) from error
        return self.terms["loss"].sum()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Let each member log its terms, keep its checkpoints and validate, where a run alone would."""
        step, first = self.global_step, self.members[0].trainer
        if self.is_logged:
            # One transfer for all terms of all members.
            values = torch.stack([term.detach().to(self.device) for term in self.terms.values()], dim=1).tolist()
            for member, row in zip(self.members, values, strict=True):
                named = {f"train/{name}": value for name, value in zip(self.terms, row, strict=True)}
                for logger in member.trainer.loggers if member.error is None else ():
                    logger.log_metrics({**named, "epoch": self.current_epoch}, step - 1)
                    logger.save()
        for number, member in enumerate(self.members):
            member.keep("on_train_batch_end", outputs, batch, batch_idx)
            if member.error is None and first.limit_val_batches and step % first.val_check_interval == 0:
                self.hand_back(number)
                member.validate()
        if step == self.trainer.max_steps:
            # As a checkpoint would keep it: the end of a fit counts as the end of a pass.
            self.progress = self.trainer.fit_loop.state_dict()

    def on_train_epoch_end(self) -> None:
        """Let checkpoints be written that are kept by passes."""
        for member in self.members:
            member.keep("on_train_epoch_end")

    @torch.no_grad()
    def hand_back(self, number: int) -> None:
        """Copy a member's tensors and its part of the optimiser's state into its own system and optimiser."""
        member, group = self.members[number], self.trainer.optimizers[0]
        for stack, own in zip(_tensors(self.stacked), _tensors(member.system), strict=True):
            own.copy_(stack[number])
        optimizer = member.trainer.optimizers[0]
        for stack, own in zip(self.stacked.parameters(), member.system.parameters(), strict=True):
            for key, value in group.state.get(stack, {}).items():
                part = value[number] if _is_part(key, value) else value
                optimizer.state[own][key] = part.to(own.device, copy=True) if isinstance(part, Tensor) else part
        for mine, its in zip(optimizer.param_groups, group.param_groups, strict=True):
            mine["lr"] = its["lr"]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _is_part(key: str, value: Any) -> bool:
    """Whether an entry of an optimiser's state has a number for each of a parameter's, and not one for all of them."""
    return isinstance(value, Tensor) and key not in {"step", "mu_product", "eta", "mu"}
