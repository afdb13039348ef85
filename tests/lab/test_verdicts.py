"""Do the API server with Istio's definitions, and istiod's own webhook, judge objects as lint does?"""

import http.client
import json
import os
import re
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from lab.base.ports import answers, free_port
from lab.base.process import Process
from lab.base.steps import Steps
from lab.cluster.admin import Answer
from lab.cluster.cluster import Cluster
from lab.istio.real import DISCOVERY
from meshvm.errors import ArgumentError
from meshvm.lint.objects import check_object
from tests.made_objects import made_objects
from tests.samples import vm_args
from tests.verdict_cases import CASES, NAMESPACE, PLURALS, Case
from tests.verdicts.changes import changed_cases

pytestmark = pytest.mark.lab

LISTENER = {"port": {"name": "https", "number": 8443, "protocol": "HTTPS"}, "default_endpoint": "unix:///run/a.sock"}
MACHINES: list[dict[str, Any]] = [
    {},
    {"ports": None, "calls": None, "labels": None},
    {"calls": [{"host": "details", "port": 9080}, {"host": "api.example.com", "port": 443, "protocol": "TLS"}]},
    {"egress_hosts": ["./*", "*/api.example.com", "~/*"], "outbound": "REGISTRY_ONLY"},
    {"listeners": [LISTENER, {"port": {"name": "b", "number": 1, "protocol": "TCP"}, "bind": "10.0.0.7"}]},
    {"capture": {"mode": "NONE"}, "listeners": [LISTENER]},
    {"capture": {"mode": "NONE"}, "calls": None},
    {"probe": {"http": {"port": 9080, "headers": {"X-A": "b"}}}, "annotations": {"proxy.istio.io/config": "{}"}},
    {"probe": {"exec": {"command": ["/bin/true"]}}, "network": "vm-net", "locality": "eu/a/1", "weight": 1},
    {"access_log": {"provider": "otel", "filter": "response.code >= 400 && 'a' in request.headers"}},
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("run"), Steps(StringIO()))
    try:
        made.start()
        made.ready()
        for namespace in (NAMESPACE, "istio-system"):
            body = json.dumps({"metadata": {"name": namespace}}).encode()
            assert made.admin.ask("POST", "/api/v1/namespaces", body).status == 201
        yield made
    finally:
        made.stop()


def tried(cluster: Cluster, case: Case) -> Answer:
    """The API server's answer to a creation that it only tries."""
    path = f"/apis/{case.object['apiVersion']}/namespaces/{NAMESPACE}/{PLURALS[case.kind]}?dryRun=All"
    return cluster.admin.ask("POST", path, json.dumps(case.object).encode())


def said(whole: dict[str, Any]) -> str:
    """What lint refuses it for; empty when it lets it through."""
    try:
        check_object(whole)
    except ArgumentError as error:
        return str(error)
    return ""


def made(changes: dict[str, Any]) -> list[Case]:
    """The objects of a machine with these arguments."""
    objects = made_objects(vm_args(**changes))
    return [Case(one["kind"], "made", one["spec"], metadata=one["metadata"]) for one in objects]


def causes(answer: Answer) -> list[str]:
    """The fields that the API server complains of, written as lint writes paths."""
    fields = [cause.get("field", "") for cause in answer.body.get("details", {}).get("causes", [])]
    return [re.sub(r"\[([^\]0-9][^\]]*)\]", r".\1", field).replace("<nil>", "") for field in fields]


def plain(path: str) -> str:
    """A path with each key of a map after a dot."""
    return re.sub(r"\[(['\"])(.*?)\1\]", r".\2", path)


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_the_api_server_judges_as_the_table_says(cluster: Cluster, kind: str) -> None:
    wrong = []
    for case in (case for case in CASES if case.kind == kind):
        answer = tried(cluster, case)
        expected = 422 if case.by == "crd" else 201
        # What is no object at all is not even read.
        if answer.status != expected and not (case.by == "crd" and answer.status == 400):
            wrong.append(f"{case}: {answer.status} {answer.message}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_the_api_server_complains_where_the_table_says(cluster: Cluster, kind: str) -> None:
    """It names the map where lint names the key in it, and the object where a field of it is missing."""
    wrong = []
    for case in (case for case in CASES if case.kind == kind and case.by == "crd"):
        answer = tried(cluster, case)
        found = causes(answer)
        if answer.status == 422 and not any(plain(case.path).startswith(field) for field in found):
            wrong.append(f"{case}: {case.path} is not in {found}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_lint_and_the_api_server_say_the_same(cluster: Cluster, kind: str) -> None:
    """Of every object that no webhook refuses, with nothing between the two."""
    wrong = []
    for case in (case for case in CASES if case.kind == kind and case.by != "webhook"):
        answer = tried(cluster, case)
        if bool(said(case.object)) == (answer.status == 201):
            wrong.append(f"{case}: lint says {said(case.object)!r}, the API server {answer.message}")
    assert not wrong, "\n".join(wrong)


class Webhook:
    """A real istiod, of which only the webhook is asked, by plain HTTP.

    :param program: `pilot-discovery`.
    :param run: where it runs, and where its log is.
    """

    def __init__(self, program: str, run: Path, kubeconfig: Path) -> None:
        self._port = free_port()
        settings = {
            "--kubeconfig": kubeconfig,
            "--httpAddr": f"127.0.0.1:{self._port}",
            # Then the webhooks are served on the address above.
            "--httpsAddr": "",
            **dict.fromkeys(("--grpcAddr", "--secureGRPCAddr", "--monitoringAddr"), "127.0.0.1:0"),
            "--ctrlz_port": 0,
            "--shutdownDuration": "1s",
        }
        off = ("ENABLE_LEADER_ELECTION", "INJECT_ENABLED", "PILOT_ENABLE_GATEWAY_API", "PILOT_ENABLE_ANALYSIS")
        environment = {"VALIDATION_WEBHOOK_CONFIG_NAME": "", "INJECTION_WEBHOOK_CONFIG_NAME": ""}
        self.process = Process(
            "istiod",
            [program, "discovery", *(f"{flag}={value}" for flag, value in settings.items())],
            run / "istiod.log",
            answers=lambda: answers("127.0.0.1", self._port) and self._answers(),
            within=60,
            env={"POD_NAMESPACE": "istio-system", **environment, **dict.fromkeys(off, "false")},
            cwd=run,
        )

    def _answers(self) -> bool:
        try:
            return bool(self.ask(CASES[0].object))
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def ask(self, whole: dict[str, Any]) -> dict[str, Any]:
        """What it says of an object, as the API server asks it."""
        group, _, version = whole["apiVersion"].partition("/")
        request = {
            "uid": "1",
            "kind": {"group": group, "version": version, "kind": whole["kind"]},
            "resource": {"group": group, "version": version, "resource": PLURALS[whole["kind"]]},
            "namespace": whole["metadata"]["namespace"],
            "name": whole["metadata"]["name"],
            "operation": "CREATE",
            "object": whole,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", "/validate", json.dumps(review), {"Content-Type": "application/json"})
            response: dict[str, Any] = json.loads(connection.getresponse().read())["response"]
            return response
        finally:
            connection.close()


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    program = shutil.which(os.environ.get(DISCOVERY) or "pilot-discovery")
    if not program:
        pytest.skip(f"a real istiod: there is no pilot-discovery on PATH, and {DISCOVERY} names none")
    made = Webhook(program, tmp_path_factory.mktemp("istiod"), cluster.kubeconfig)
    try:
        made.process.start()
        made.process.ready()
        yield made
    finally:
        made.process.stop()


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_a_real_istiod_judges_as_the_table_says(cluster: Cluster, webhook: Webhook, kind: str) -> None:
    """Of what the API server lets through to it, as the API server has made it."""
    wrong = []
    for case in (case for case in CASES if case.kind == kind and case.by != "crd"):
        answer = webhook.ask(tried(cluster, case).body)
        if answer["allowed"] is (case.by == "webhook"):
            wrong.append(f"{case}: {answer}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_a_real_istiod_warns_of_what_the_table_says(cluster: Cluster, webhook: Webhook, kind: str) -> None:
    wrong = []
    for case in (case for case in CASES if case.kind == kind and not case.by):
        warnings = webhook.ask(tried(cluster, case).body).get("warnings") or []
        if bool(warnings) is not case.warned:
            wrong.append(f"{case}: {warnings}")
    assert not wrong, "\n".join(wrong)


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(case=changed_cases())
def test_an_object_that_is_changed_at_random_is_judged_by_lint_as_by_both(
    cluster: Cluster, webhook: Webhook, case: Case
) -> None:
    """Nobody has thought of these: the API server and istiod are asked."""
    answer = tried(cluster, case)
    told = webhook.ask(answer.body) if answer.status == 201 else {"allowed": False, "status": answer.message}
    assert bool(said(case.object)) is not told["allowed"], f"lint: {said(case.object)!r}; asked: {told}"


@pytest.mark.parametrize("changes", MACHINES)
def test_what_meshvm_makes_of_arguments_is_taken_by_the_api_server(cluster: Cluster, changes: dict[str, Any]) -> None:
    for case in made(changes):
        answer = tried(cluster, case)
        assert answer.status == 201, answer.message


@pytest.mark.parametrize("changes", MACHINES)
def test_what_meshvm_makes_of_arguments_is_taken_by_a_real_istiod_without_a_warning(
    cluster: Cluster, webhook: Webhook, changes: dict[str, Any]
) -> None:
    for case in made(changes):
        told = webhook.ask(tried(cluster, case).body)
        assert told["allowed"], told
        assert not told.get("warnings"), told
