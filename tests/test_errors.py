"""Is every error of meshvm's one sentence for a person, and one that Pulumi shows without a traceback?"""

import pulumi
import pytest

import meshvm
from meshvm.errors import ArgumentError, ClusterError, MeshvmError
from meshvm.outputs import PropertyError, reported


def test_every_error_has_one_root() -> None:
    public = [getattr(meshvm, name) for name in meshvm.__all__ if name.endswith("Error")]
    assert set(public) == {MeshvmError, ArgumentError, ClusterError}
    assert all(issubclass(error, MeshvmError) for error in public)


def test_an_argument_error_says_where_what_and_what_instead() -> None:
    error = ArgumentError("ssh.port", "0 is not a port", "write a number from 1 to 65535")
    assert str(error) == "ssh.port: 0 is not a port; write a number from 1 to 65535"
    assert (error.path, error.reason) == ("ssh.port", "0 is not a port; write a number from 1 to 65535")


def test_a_cluster_error_is_not_for_want_of_an_answer_unless_it_says_so() -> None:
    assert not ClusterError("refused").unreachable
    assert ClusterError("no answer", unreachable=True).unreachable


def test_what_pulumi_gets_is_the_sentence_and_the_property() -> None:
    """A RunError is printed without a traceback; an InputPropertyError names its property."""
    with pytest.raises(PropertyError) as caught, reported('MeshVm "ratings"'):
        raise ArgumentError("ssh.port", "0 is not a port", "write 22")
    error = caught.value
    assert isinstance(error, pulumi.RunError)
    assert isinstance(error, pulumi.InputPropertyError)
    assert str(error) == 'MeshVm "ratings": ssh.port: 0 is not a port; write 22'
    assert (error.property_path, error.reason) == ("ssh.port", "0 is not a port; write 22")
    assert error.__suppress_context__


def test_an_error_without_a_property_keeps_its_sentence() -> None:
    with pytest.raises(PropertyError) as caught, reported("MeshExpansion"):
        raise ClusterError("no answer; check kubeconfig")
    assert str(caught.value) == "MeshExpansion: no answer; check kubeconfig"
    assert caught.value.property_path == ""


def test_errors_that_are_not_meshvms_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), reported("MeshVm"):
        raise ZeroDivisionError
