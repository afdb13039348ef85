"""Which releases of Istio are taken, which are warned of, and which are refused?"""

import pytest

from meshvm.errors import ArgumentError
from meshvm.istio.access import role_rules
from meshvm.istio.versions import check_version


@pytest.mark.parametrize(
    "version", ["1.27.0", "1.28.10", "1.29.6", "1.30.3", "1.30.3-distroless", "v1.31.0", "1.31-alpha"]
)
def test_the_tested_releases_are_taken_without_a_word(version: str) -> None:
    assert check_version("proxy_version", version) == ""


@pytest.mark.parametrize("version", ["1.24.0", "1.25.5", "1.26.8"])
def test_an_older_release_is_warned_of_by_name(version: str) -> None:
    assert f"is Istio {version}" in check_version("proxy_version", version)
    assert "v1beta1" in check_version("proxy_version", version)


@pytest.mark.parametrize("version", ["1.32.0", "1.100.0", "2.0.0"])
def test_a_newer_release_is_warned_of_by_name(version: str) -> None:
    assert f"is Istio {version}, which is newer" in check_version("proxy_version", version)


@pytest.mark.parametrize("version", ["latest", "asm-managed", "", "1", "1.x"])
def test_a_tag_that_is_no_release_is_warned_of_by_name(version: str) -> None:
    assert repr(version) in check_version("proxy_version", version)


@pytest.mark.parametrize("version", ["1.23.6", "1.9.0", "0.8.0"])
def test_a_release_whose_rules_stay_on_the_machine_is_refused(version: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        check_version("proxy_version", version)
    assert caught.value.path == "proxy_version"
    assert f"is Istio {version}" in str(caught.value)
    assert "1.27 to 1.31" in str(caught.value)


def test_a_role_is_never_for_all_accounts() -> None:
    """A rule without names would be."""
    with pytest.raises(ValueError, match="every account"):
        role_rules([])
