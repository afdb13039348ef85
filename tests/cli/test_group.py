"""Does `meshvm group create` print what `istioctl x workload group create` prints?"""

import pytest
import yaml
from click.testing import CliRunner, Result

from meshvm.cli.commands import meshvm


def create(*arguments: str) -> Result:
    return CliRunner().invoke(meshvm, ["group", "create", "--name", "ratings", "-n", "bookinfo", *arguments])


def test_a_group_that_says_nothing_has_an_account_and_empty_metadata() -> None:
    assert (
        create().stdout
        == """\
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata:
  name: ratings
  namespace: bookinfo
spec:
  metadata: {}
  template:
    serviceAccount: default
"""
    )


def test_every_flag_is_in_the_group() -> None:
    arguments = ["-l", "app=ratings,version=1.30", "--labels", "note=a=b", "-a", "x=y", "--ports", "http=9080,grpc=70"]
    arguments += ["-s", "sa", "--network", "vm-net", "--locality", "a/b/c", "-w", "3"]
    assert (
        create(*arguments).stdout
        == """\
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata:
  name: ratings
  namespace: bookinfo
spec:
  metadata:
    annotations:
      x: "y"
    labels:
      app: ratings
      note: a=b
      version: "1.30"
  template:
    locality: a/b/c
    network: vm-net
    ports:
      grpc: 70
      http: 9080
    serviceAccount: sa
    weight: 3
"""
    )


def test_what_is_empty_is_left_out() -> None:
    printed = yaml.safe_load(create("--network", "", "--weight", "0", "--serviceAccount", "").stdout)
    assert printed["spec"] == {"metadata": {}, "template": {}}


def test_a_label_without_a_value_is_empty_and_one_in_quotes_may_have_a_comma() -> None:
    printed = yaml.safe_load(create("-l", 'a,"b=c,d"').stdout)
    assert printed["spec"]["metadata"]["labels"] == {"a": "", "b": "c,d"}


@pytest.mark.parametrize("port", ["http", "http=", "http=web", "http=0", "http=70000", "http=-1", "http=²"])
def test_a_bad_port_is_an_error(port: str) -> None:
    """Istioctl logs it and writes port 0."""
    result = create("--ports", port)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: --ports: {port.partition('=')[0]}=")


@pytest.mark.parametrize("missing", ["--name", "--namespace"])
def test_a_group_has_a_name_and_a_namespace(missing: str) -> None:
    given = {"--name": "a", "--namespace": "b"}
    del given[missing]
    result = CliRunner().invoke(meshvm, ["group", "create", *(word for pair in given.items() for word in pair)])
    assert (result.exit_code, missing in result.stderr) == (2, True)
