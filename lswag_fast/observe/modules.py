"""The modules of a model and what they hold, each with its name, in torch's order.

`nn.Module.named_modules` nests a generator for each level, so that a walk through a deep network takes as long as a
hundred calls of it, and each of torch's lists of parameters and buffers walks anew.
"""

from __future__ import annotations

from torch import Tensor, nn

NamedModules = list[tuple[str, nn.Module]]


def named_modules(model: nn.Module) -> NamedModules:
    """The model itself, under the name "", and all modules in it; a shared one once, under its first name.

    Example:
        >>> block = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> [name for name, _ in named_modules(nn.Sequential(block, block))]
        ['', '0', '0.0', '0.1']
    """
    found: NamedModules = []
    seen: set[int] = set()
    waiting: list[tuple[str, nn.Module | None]] = [("", model)]
    while waiting:
        name, module = waiting.pop()
        if module is None or id(module) in seen:
            continue
        seen.add(id(module))
        found.append((name, module))
        if module._modules:
            prefix = f"{name}." if name else ""
            waiting += [(prefix + child, own) for child, own in reversed(module._modules.items())]
    return found


def named_parameters(modules: NamedModules) -> dict[str, nn.Parameter]:
    """The parameters of these modules, a shared one once, under its first name.

    Example:
        >>> list(named_parameters(named_modules(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))))
        ['0.weight', '0.bias']
    """
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for name, module in modules:
        prefix = f"{name}." if name else ""
        for own, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                found[prefix + own] = parameter
    return found


def buffers(modules: NamedModules) -> list[Tensor]:
    """The buffers of these modules, a shared one once."""
    found: dict[int, Tensor] = {}
    for _, module in modules:
        for buffer in module._buffers.values():
            if buffer is not None:
                found[id(buffer)] = buffer
    return list(found.values())
