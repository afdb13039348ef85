"""A Pulumi stack driven as a user drives one: preview, up, destroy; with what the engine did, in order.

Programs run inline by the Automation API, which needs no language plugin.
"""

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pulumi import automation as auto

from lab.base.errors import LabError

PASSPHRASE: Final = "lab"

# The Automation API's server logs a traceback when the engine ends before its program, as it does when a resource
# failed; whoever keeps the record keeps the whole program.
logging.getLogger("grpc._server").setLevel(logging.CRITICAL)


@dataclass
class Outcome:
    """What one operation did.

    :param steps: (operation, resource name, type) in the order in which the engine began them; `same` is left out.
    :param times: when each of `steps` began and ended, by the same index; an end of 0 means that it did not end.
    :param text: what the CLI printed.
    :param error: why it failed; empty when it did not.
    """

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    text: str = ""
    error: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def succeeded(self) -> Self:
        """The outcome itself; an error with all that the CLI printed when the operation failed."""
        if self.error:
            raise LabError(f"Pulumi failed:\n{self.text}\n{self.error}")
        return self

    def names(self, *operations: str) -> list[str]:
        """Names of the resources that saw one of the operations, in order."""
        return [name for operation, name, _ in self.steps if operation in operations]

    def order(self) -> list[str]:
        """The steps as `operation name`, without what the engine counts but does not do."""
        return [f"{operation} {name}" for operation, name, _ in self.steps if operation != "replace"]

    def began(self, step: str) -> float:
        """When the step `operation name` began, in seconds since the epoch."""
        return self.times[[f"{one[0]} {one[1]}" for one in self.steps].index(step)][0]


class Stack:
    """One stack with its program.

    :param folder: the lab's folder with `bin`, or any other; state and home go below it.
    :param program: registers the resources; replace it to change the program.
    :param config: full keys (`project:key`) to plain values.
    :param env: the environment of the engine and its plugins.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        program: Callable[[], None],
        *,
        config: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        project: str = "lab",
    ) -> None:
        self.program = program
        self.folder = folder / "stacks" / name
        self._name = name
        for part in ("work", "state", "home"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        settings = auto.ProjectSettings(
            name=project, runtime="python", backend=auto.ProjectBackend(f"file://{self.folder / 'state'}")
        )
        options = auto.LocalWorkspaceOptions(
            work_dir=str(self.folder / "work"),
            pulumi_home=str(self.folder / "home"),
            project_settings=settings,
            env_vars={**_ENGINE, **(env or {})},
            pulumi_command=auto.PulumiCommand(root=str(folder), skip_version_check=True),
        )
        self._stack = auto.create_or_select_stack(name, project, self._registered, opts=options)
        self.set_config(config or {})

    def set_config(self, config: Mapping[str, str]) -> None:
        """Set plain values of the configuration."""
        if config:
            self._stack.set_all_config({key: auto.ConfigValue(value) for key, value in config.items()})

    def preview(self, on_output: Callable[[str], Any] | None = None, **options: Any) -> Outcome:
        """`pulumi preview --diff`."""
        return self._run(self._stack.preview, on_output, diff=True, **options)

    def up(self, on_output: Callable[[str], Any] | None = None, **options: Any) -> Outcome:
        """`pulumi up`; a failure is in the outcome, not raised."""
        return self._run(self._stack.up, on_output, **options)

    def refresh(self, **options: Any) -> Outcome:
        """`pulumi refresh`."""
        return self._run(self._stack.refresh, None, **options)

    def destroy(self, on_output: Callable[[str], Any] | None = None, **options: Any) -> Outcome:
        """`pulumi destroy`."""
        return self._run(self._stack.destroy, on_output, **options)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        return {key: output.value for key, output in self._stack.outputs().items()}

    def state(self) -> list[dict[str, Any]]:
        """The resources as the engine stored them."""
        return list((self._stack.export_stack().deployment or {}).get("resources", []))

    def resource(self, name: str) -> dict[str, Any]:
        """The stored resource with this name, the newest when there are two."""
        return next(one for one in self.state() if one["urn"].endswith(f"::{name}") and not one.get("delete"))

    def _registered(self) -> None:
        # Looked up when it runs: a test may have put another program in its place.
        self.program()

    def _run(
        self,
        operation: Callable[..., Any],
        on_output: Callable[[str], Any] | None,
        **options: Any,
    ) -> Outcome:
        outcome = Outcome()
        lines: list[str] = []

        def output(line: str) -> None:
            lines.append(line)
            if on_output:
                on_output(line)

        try:
            operation(on_output=output, on_event=lambda event: _note(outcome, event), color="never", **options)
        except auto.CommandError as error:
            outcome.error = str(error)
        # Not above: while the error is held, so are the frames of the program.
        if outcome.error:
            collect_program()
        outcome.text = "\n".join(lines)
        return outcome


def collect_program() -> None:
    """The Automation API leaves the coroutines of a program half done when the engine went first. They complain when
    they are collected: now, to nobody, and not in the middle of something else."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = hook


_ENGINE: Final = {
    "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    "PULUMI_SKIP_UPDATE_CHECK": "1",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
    "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "1",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
    "PULUMI_OPTION_NON_INTERACTIVE": "1",
}


def _note(outcome: Outcome, event: auto.EngineEvent) -> None:
    begun = event.resource_pre_event
    if begun and begun.metadata.op != auto.OpType.SAME:
        metadata = begun.metadata
        name = metadata.urn.rsplit("::", 1)[-1]
        outcome.steps.append((metadata.op.value, name, metadata.type))
        outcome.times.append((time.time(), 0.0))
        outcome.events.append({"op": metadata.op.value, "name": name, "diffs": metadata.diffs or []})
    ended = event.res_outputs_event
    if ended:
        step = (ended.metadata.op.value, ended.metadata.urn.rsplit("::", 1)[-1], ended.metadata.type)
        if step in outcome.steps:
            index = len(outcome.steps) - 1 - outcome.steps[::-1].index(step)
            outcome.times[index] = (outcome.times[index][0], time.time())


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The environment of an engine whose plugins are in `folder/bin` first."""
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **more}
