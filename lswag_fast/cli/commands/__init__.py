"""The commands of `lswag-fast`, one per file; each file makes a `Command`, and this list has them in their order."""

from lswag_fast.cli.commands import (
    benchmark,
    compare,
    correlate,
    evaluate,
    export,
    info,
    layers,
    libra,
    proxies,
    report,
    score,
    search,
    show,
    supernet,
    train,
)

COMMANDS = tuple(
    module.COMMAND
    for module in (
        score,
        search,
        show,
        report,
        export,
        proxies,
        evaluate,
        correlate,
        libra,
        layers,
        supernet,
        benchmark,
        train,
        compare,
        info,
    )
)
