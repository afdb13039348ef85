"""Is the token minted in the right cluster, and is it said when it is shorter than asked for?"""

from typing import Any

import pulumi
import pytest

import meshvm
from meshvm.errors import ClusterError
from meshvm.testing import FakeCluster, Recording, record
from tests.samples import vm_args


def one_vm(answers: FakeCluster, *, uid: str = "uid-1", **changes: Any) -> Recording:
    """An `up` whose provider has made the Sidecar with that uid."""
    outputs = {"ratings-sidecar": {"metadata": {"namespace": "bookinfo", "name": "ratings", "uid": uid}}}
    return record(lambda: meshvm.MeshVm("ratings", vm_args(**changes)), cluster_answers=answers, outputs=outputs)


def stdin(recording: Recording) -> str:
    return str(recording["ratings-join"].inputs["stdin"])


@pytest.mark.parametrize("registration", ["ENTRY", "AUTO"])
def test_no_token_is_minted_in_another_cluster_than_the_providers(registration: str) -> None:
    """Both clusters may have objects of these names, as staging and production have."""
    answers = FakeCluster(uids={"ratings": "uid-of-another"})
    assert (
        "MESHVM_TOKEN_ERROR='kubeconfig: it leads to another cluster than the Kubernetes provider, which has made the "
        "Sidecar bookinfo/ratings; give both the same cluster'" in stdin(one_vm(answers, registration=registration))
    )
    assert answers.tokens == 0


def test_a_cluster_without_the_object_is_another_one() -> None:
    missing = ClusterError("it is not in the cluster", missing=True)
    answers = FakeCluster(errors={"uid": missing})
    assert "it leads to another cluster" in stdin(one_vm(answers))
    assert answers.tokens == 0


@pytest.mark.parametrize("found", ["uid-1", ""])
def test_the_providers_cluster_gives_the_token_also_to_credentials_that_may_not_look(found: str) -> None:
    answers = FakeCluster(uids={"ratings": found})
    assert "MESHVM_TOKEN='token-1-bookinfo-bookinfo-ratings-3600'\n" in stdin(one_vm(answers))


def test_a_token_that_is_shorter_than_asked_for_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, **_: said.append(text))
    answers = FakeCluster(granted=3600, uids={"ratings": "uid-1"})
    one_vm(answers, token_seconds=7200)
    (text,) = said
    assert text.startswith('MeshVm "ratings": token_seconds: the API server gives 3600 s and not 7200 s; write at most')
    one_vm(answers, token_seconds=3600)
    assert said == [text]
