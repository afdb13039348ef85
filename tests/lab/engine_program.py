"""A small Pulumi program on the real engine, with stand-ins of plugins and no network: what the plugins' tests run."""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import automation

CHECKOUT = Path(__file__).resolve().parents[2]


class Raw(pulumi.CustomResource):
    """Any resource by its type token; `outputs` are the properties that the program reads besides its inputs."""

    def __init__(
        self,
        token: str,
        name: str,
        inputs: Mapping[str, Any],
        outputs: tuple[str, ...] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(token, name, {**dict.fromkeys(outputs), **inputs}, opts)

    def out(self, name: str) -> pulumi.Output[Any]:
        """An output by the plugin's name for it."""
        output: pulumi.Output[Any] = getattr(self, name)
        return output


@dataclass
class Done:
    """What one run of the engine did: `operation name` in the order it began them, its diffs, outputs and error."""

    steps: list[str] = field(default_factory=list)
    diffs: dict[str, list[str]] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def event(self, event: automation.EngineEvent) -> None:
        """Note a step that the engine begins, other than the stack's and the providers' own."""
        if event.resource_pre_event is None:
            return
        step = event.resource_pre_event.metadata
        if step.type == "pulumi:pulumi:Stack" or step.type.startswith("pulumi:providers:"):
            return
        name = step.urn.rpartition("::")[2]
        if step.op != automation.OpType.SAME:
            self.steps.append(f"{step.op.value} {name}")
        self.diffs[name] = sorted(step.detailed_diff or {}) or self.diffs.get(name, [])


class EngineProgram:
    """A stack in a folder of its own. Set `program`, then run it.

    :param folder: where state, plugins' wrappers and logs go.
    :param pulumi_binary: the engine.
    :param plugins: the names of the stand-ins, which are modules of `lab.plugins`.
    :param environment: what the plugins find in theirs besides.
    """

    def __init__(
        self,
        folder: Path,
        pulumi_binary: Path,
        plugins: tuple[str, ...],
        environment: Mapping[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.program: Callable[[], None] = lambda: None
        self.lab = Path(environment["MESHVM_LAB"])
        for name in ("bin", "state", "home", "work"):
            (folder / name).mkdir(parents=True)
        for plugin in plugins:
            wrapper = folder / "bin" / f"pulumi-resource-{plugin}"
            wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m lab.plugins.{plugin} "$@"\n')
            wrapper.chmod(0o755)
        variables = {
            "PATH": f"{folder / 'bin'}:{pulumi_binary.parent}:{os.environ['PATH']}",
            "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "1",
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            **environment,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        self._stack = automation.create_or_select_stack(
            "test",
            "lab",
            self._current,
            opts=automation.LocalWorkspaceOptions(work_dir=str(folder / "work")),
        )

    def preview(self) -> Done:
        """`pulumi preview`."""
        return self._run(self._stack.preview)

    def up(self, **options: Any) -> Done:
        """`pulumi up`; an error that the engine reports is in the answer."""
        return self._run(self._stack.up, **options)

    def refresh(self) -> Done:
        """`pulumi refresh`."""
        return self._run(self._stack.refresh)

    def destroy(self) -> Done:
        """`pulumi destroy`."""
        return self._run(self._stack.destroy)

    def _current(self) -> None:
        self.program()

    def names(self) -> list[str]:
        """The names of the resources in the state."""
        return [item["urn"].rpartition("::")[2] for item in self._resources()]

    def state(self, name: str) -> Mapping[str, Any]:
        """One resource as the state has it; secrets are objects with a signature there."""
        found = [item for item in self._resources() if item["urn"].endswith(f"::{name}")]
        assert len(found) == 1, f"{name} is {len(found)} times in the state"
        resource: Mapping[str, Any] = found[0]
        return resource

    def _resources(self) -> list[Mapping[str, Any]]:
        deployment = self._stack.export_stack().deployment or {}
        return list(deployment.get("resources") or [])

    def _run(self, command: Callable[..., Any], **options: Any) -> Done:
        done = Done()
        try:
            result = command(on_event=done.event, **options)
        except automation.CommandError as error:
            done.error = str(error)
        else:
            outputs = getattr(result, "outputs", None) or {}
            done.outputs = {name: output.value for name, output in outputs.items()}
        if done.error:  # not in the handler: there the exception still holds on to it
            drop_what_the_sdk_left_open()
        return done


def drop_what_the_sdk_left_open() -> None:
    """A program whose engine has failed under it leaves its event loop unclosed: not a fault of the test at hand."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        for _ in range(5):  # what a finalizer lets go of is collected by the next round
            gc.collect()
    finally:
        sys.unraisablehook = hook
