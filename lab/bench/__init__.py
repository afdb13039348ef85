"""`make bench`: the project's numbers, as ratios within one run. One question a file; ARGS names some of them."""

import sys
from importlib import import_module
from typing import Final

from lab.base.errors import LabError
from lab.base.steps import Steps

QUESTIONS: Final = ("files", "registration", "rules", "machine")


def bench() -> int:
    """Ask the questions that the arguments name, or all; the exit code."""
    steps = Steps()
    wanted = sys.argv[2:] or QUESTIONS
    if unknown := [name for name in wanted if name not in QUESTIONS]:
        steps.say(f"there is no question {unknown[0]!r}: write some of {', '.join(QUESTIONS)}, or nothing for all")
        return 2
    for name in wanted:
        try:
            # Not before: what is imported here counts as memory of the processes that a question starts.
            import_module(f"lab.bench.{name}").ask(steps)
        except LabError as error:
            steps.say(f"{name}: {error}")
            return 1
        except KeyboardInterrupt:
            steps.say("stopped; everything that was started is gone")
            return 130
    return 0
