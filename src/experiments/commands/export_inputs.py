"""A run's network as a module from plain tensors to plain tensors, as exporters take it, and examples to call it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.errors import UserError
from experiments.spec import ControlSpec

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded


_EXAMPLES = 16
_STEPS = 256  # that a network written step by step takes at most: each is a piece of the graph


def flattened(loaded: Loaded, files: list[str]) -> tuple[Any, list[Any]]:
    """Return the network as a module from plain tensors to plain tensors, and what it is called with for some test
    examples or files; always two examples or more, so that no exporter takes the batch for a single one.
    """
    import torch

    # torch documents no public way to take nested outputs apart and put them together again.
    from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

    if files:
        from experiments.commands.predict_inputs import image_files

        inputs: tuple[Any, ...] = (loaded.prepare(image_files(files)[:_EXAMPLES]),)
    elif isinstance(loaded.spec, ControlSpec):  # a policy
        from experiments.batches import Observations

        values = torch.randn(_EXAMPLES, len(loaded.spec.observations), generator=torch.Generator().manual_seed(0))
        memory = int(getattr(loaded.model, "memory", 0))
        inputs = (Observations(values, torch.zeros(_EXAMPLES, memory)) if memory else values,)
    else:
        data, seen = loaded.data, []
        batch = data.transfer_batch_to_device(next(iter(data.test_dataloader())), torch.device("cpu"), 0)
        batch = data.on_after_batch_transfer(batch, 0)
        hook = loaded.model.register_forward_pre_hook(lambda module, args: seen.append(args))
        try:
            with torch.no_grad():
                loaded.task.step(batch)  # only the task knows what of a batch its network reads
        except NotImplementedError as error:
            raise UserError(
                f"task={loaded.config.run.choices['task']} cannot be exported: its network reads images of unlike sizes; "
                "weights=RUN takes it over"
            ) from error
        finally:
            hook.remove()
        inputs = seen[0] if seen else (batch[0],)  # a task that calls its stages one by one
    leaves, structure = tree_flatten(inputs)
    leaves = [leaf[:_EXAMPLES] for leaf in leaves]
    longest = min(getattr(loaded.spec, "longest", 0), _STEPS)
    if len(leaves) > 1 and longest > leaves[0].shape[1]:  # room for any sequence, where steps cannot be left open
        padding = leaves[0].new_zeros(len(leaves[0]), longest - leaves[0].shape[1], *leaves[0].shape[2:])
        leaves[0] = torch.cat([leaves[0], padding], dim=1)
    if len(leaves[0]) == 1:
        leaves = [torch.cat([leaf, leaf]) for leaf in leaves]

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
            outcome = self.model(*tree_unflatten(list(tensors), structure))
            made = [leaf for leaf in tree_leaves(outcome) if isinstance(leaf, torch.Tensor)]
            several = tuple(tensor for tensor in made if tensor.ndim == 0 or tensor.shape[-1] != 0)  # such as no memory
            return several[0] if len(several) == 1 else several

    return Plain().eval(), leaves
