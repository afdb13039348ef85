"""Do `make bench`'s numbers compare what they say they compare?"""

import pytest

from lab.bench import by_hand, registration


def test_by_hand_the_same_resources_are_registered_as_by_a_mesh_vm() -> None:
    assert registration.difference(number=7) == ""


def test_a_resource_that_is_made_otherwise_by_hand_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_hand, "_options", lambda _: {})
    assert registration.difference(number=7) == "vm-7-join"
