"""Every error that iteralign raises on purpose, with the exit code that the command line gives it.

The tree:

    IterAlignError                      1
      RecipeError (ValueError)          2   a recipe, an override or a command's argument is wrong
      DataError (ValueError)            3   an input file is wrong: file, line, field and remedy are named
      StoreError                        4   the run directory cannot be used
        RunLocked                       5   another process works on the run
        RunMismatch                     6   the run was started with other settings
        CheckpointCorrupt               4
      EngineError                       7   a model cannot be loaded or does not answer
        LeftOut                         7   one chat or example alone; the others go on without it
          PromptTooLong
          ExampleTooLong
          NoExample
          RefusedByTemplate
          ChangedByTemplate
          Filtered
        CutShort                        7
        RateLimited
        Unavailable
          NotFound
        Unsupported
        WrongWeights
      TrainingError                     8
      BudgetExceeded                    9   a cap on calls, tokens or cost was reached; raise it and resume
    Interrupted                       130   Ctrl-C; the run resumes
      Terminated                      143   SIGTERM; the run resumes

A message says what was wrong (with the value), where (file and key) and what to do.
This module imports nothing of ours.
"""

from __future__ import annotations

from typing import ClassVar


class IterAlignError(Exception):
    """Anything that iteralign reports to its user instead of a traceback."""

    exit_code = 1


class RecipeError(IterAlignError, ValueError):
    """A recipe, an override or an argument is wrong."""

    exit_code = 2


class DataError(IterAlignError, ValueError):
    """An input file is wrong; the message names file, line, field and remedy."""

    exit_code = 3


class StoreError(IterAlignError):
    """The run directory cannot be read or written."""

    exit_code = 4


class CheckpointCorrupt(StoreError):
    """A checkpoint's weights are not the ones that were written."""


class RunLocked(StoreError):
    """Another process works on this run."""

    exit_code = 5


class RunMismatch(StoreError):
    """The run was started with other settings."""

    exit_code = 6


class EngineError(IterAlignError):
    """A model cannot be loaded or does not answer as it must."""

    exit_code = 7


class LeftOut(EngineError):
    """One chat cannot be answered, or one example not be learnt; nothing is wrong with the others.

    ``why``: the reason in a few words, by which such items are counted.
    """

    why: ClassVar[str] = "not answered by the server"


class PromptTooLong(LeftOut):
    """A chat does not fit the model's context."""

    why = "does not fit the context"


class ExampleTooLong(LeftOut):
    """A training example is longer than ``training.max_length``."""

    why = "longer than training.max_length"


class NoExample(LeftOut):
    """A training example holds nothing that could be learnt."""

    why = "holds nothing to learn"


class RefusedByTemplate(LeftOut):
    """The chat template refuses a chat (roles that do not alternate, say)."""

    why = "refused by the chat template"


class ChangedByTemplate(LeftOut):
    """The chat template does not give a text as it is, so that training would see another one."""

    why = "changed by the chat template"


class Filtered(LeftOut):
    """A server's content filter withheld the answer to one chat."""

    why = "filtered by the server"


class CutShort(EngineError):
    """A server gave no answer because the limit of tokens was reached before it began."""


class RateLimited(EngineError):
    """A server asked for patience for longer than the retry policy allows."""


class Unavailable(EngineError):
    """A server or a device does not answer, or refuses the key."""


class NotFound(Unavailable):
    """A server knows no model of this name."""


class Unsupported(EngineError):
    """The engine cannot do what is asked of it.

    Scoring on a server without prompt log-probabilities, say.
    """


class WrongWeights(EngineError):
    """An engine answers with other weights than those that were asked for: its probe is another one."""


class TrainingError(IterAlignError):
    """Fine-tuning failed, or gave weights that cannot be used."""

    exit_code = 8


class BudgetExceeded(IterAlignError):
    """A cap on calls, tokens or cost was reached."""

    exit_code = 9


class Interrupted(IterAlignError):
    """The user stopped the run (Ctrl-C)."""

    exit_code = 130


class Terminated(Interrupted):
    """The system asked the run to stop (SIGTERM: a scheduler, a shutdown, ``kill``)."""

    exit_code = 143
