"""The options that say which Kafka a command's stack runs on."""

from typing import Annotated

import typer

Bootstrap = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="A Kafka cluster that runs already, instead of one of its own."
    ),
]
BrokerKind = Annotated[
    str, typer.Option(help="embedded (in memory), or apache (on disk; needs Java 17 and Maven).")
]
