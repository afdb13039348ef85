"""Arguments of a MeshVm with some of them changed: what do all rules together say of them?"""

from typing import Any

import pulumi
import pytest

from meshvm.args import MeshVmArgs
from meshvm.errors import ArgumentError, MeshvmError
from meshvm.istio.objects import VM_LABEL
from meshvm.lint import vm as lint
from meshvm.lint.shape import check_shape
from meshvm.outputs import checked
from tests.samples import vm_args


def failing(**changes: Any) -> ArgumentError:
    """The error of the arguments with some of them changed."""
    args = vm_args(**changes)
    with pytest.raises(ArgumentError) as caught:
        judge(args)
    return caught.value


def judge(args: MeshVmArgs) -> None:
    """Every rule over plain values, as MeshVm asks them."""
    check_shape(args, MeshVmArgs)
    lint.check(args, VM_LABEL)
    for path, value, rule in lint.leaves(args):
        checked("MeshVm", path, value, rule) if isinstance(value, pulumi.Output) else rule(path, value)


def complaint(args: MeshVmArgs) -> str:
    """The error of the arguments; empty when they have none."""
    try:
        judge(args)
    except MeshvmError as error:
        return str(error)
    return ""
