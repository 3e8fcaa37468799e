# SPDX-License-Identifier: Apache-2.0
"""Every error that rspipe raises on purpose.

    RspipeError            (exit 4, where nothing else is said)
    ├── RecipeError        unknown key, wrong type, missing folder in a recipe or card (exit 2)
    ├── MissingDependency  an optional package or system library is not installed (exit 3)
    ├── PluginError        a reader or objective of another package cannot be used
    ├── Interrupted        Ctrl-C (exit 130)
    ├── UnreadableImage    an image cannot be opened or decoded; becomes a row in the ledger
    ├── ReaderError        an annotation file is malformed; becomes a row in the ledger
    ├── DamagedTable       a table between stages is gone or damaged; it is made anew
    ├── NoSpace            a disk is full; what is done stays
    ├── StageFailed        a stage of curation cannot go on
    ├── CorpusError        a corpus is absent, incomplete, or of another schema version
    │   └── CorpusDamaged  its files are not what its manifest says (exit 1: that was the question)
    ├── FetchError         a published file cannot be fetched, verified or unpacked
    ├── RunError           a pre-training run is absent, incomplete, or does not match its recipe
    │   └── Stopped        a signal stopped work that keeps checkpoints (exit 128 + its number)
    ├── WeightsError       weights do not fit the model strictly
    └── UnfitEncoder       an encoder cannot do what a protocol asks; the protocol's row says why

Each message names the thing, the reason and the next move. docs/cli.md lists the exit codes.
"""

import signal


class RspipeError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 4


class RecipeError(RspipeError):
    """A recipe or a card is wrong."""

    exit_code = 2


class MissingDependency(RspipeError):
    """An optional package or system library is not installed."""

    exit_code = 3


class PluginError(RspipeError):
    """A reader or objective of another package cannot be used."""


class Interrupted(RspipeError):
    """Ctrl-C."""

    exit_code = 128 + signal.SIGINT

    def __init__(self) -> None:
        super().__init__("stopped by Ctrl-C; what is done stays: the same command goes on")


class UnreadableImage(RspipeError):
    """An image cannot be opened or decoded.

    Args:
        path: the image as the ledger names it.
        reason: what the decoder said.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnreadableImage"], tuple[str, str]]:
        # Workers send errors to the driver.
        return type(self), (self.path, self.reason)


class DamagedTable(RspipeError):
    """A table between stages is gone or damaged on disk.

    Args:
        path: the table.
        reason: what reading it said.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["DamagedTable"], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class NoSpace(RspipeError):
    """A disk is full.

    Args:
        folder: a folder on it.
        name: what was to be written there.
        needed_bytes: about how large that is; None where nobody knows.
        free_bytes: what is left; None where nobody knows.
    """

    def __init__(
        self, folder: str, name: str, needed_bytes: int | None, free_bytes: int | None
    ) -> None:
        needs = "" if needed_bytes is None else f", which needs about {needed_bytes:,} bytes"
        free = "" if free_bytes is None else f" ({free_bytes:,} bytes are free)"
        super().__init__(
            f"no space left in {folder} for {name}{needs}{free}: make room or name another folder, "
            "and run again; what is done stays"
        )
        self._said = folder, name, needed_bytes, free_bytes

    def __reduce__(self) -> tuple[type["NoSpace"], tuple[str, str, int | None, int | None]]:
        return type(self), self._said


class StageFailed(RspipeError):
    """A stage of curation cannot go on; the message names the partition."""


class ReaderError(RspipeError):
    """An annotation file is malformed."""


class CorpusError(RspipeError):
    """A corpus is absent, incomplete, or of another schema version."""


class CorpusDamaged(CorpusError):
    """Files of a corpus are not what its manifest says."""

    exit_code = 1


class FetchError(RspipeError):
    """A published file cannot be fetched, verified or unpacked."""


class RunError(RspipeError):
    """A pre-training run is absent, incomplete, or does not match its recipe."""


class Stopped(RunError):
    """A signal stopped work that keeps checkpoints.

    Args:
        signal_name: SIGINT or SIGTERM; None where it came to another process of the run.
        message: how far it is, and how to go on.
    """

    def __init__(self, signal_name: str | None, message: str) -> None:
        super().__init__(message)
        self.signal_name = signal_name
        self.exit_code = 128 + signal.Signals[signal_name or "SIGTERM"]

    def __reduce__(self) -> tuple[type["Stopped"], tuple[str | None, str]]:
        return type(self), (self.signal_name, str(self))


class WeightsError(RspipeError):
    """Weights do not fit the model strictly."""


class UnfitEncoder(RspipeError):
    """An encoder cannot do what a protocol asks of it: four levels, another image size."""
