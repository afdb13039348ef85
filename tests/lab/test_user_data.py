"""Does the stand-in of cloud-init read user data as the original does, and refuse what it does not know?"""

import base64
from pathlib import Path

import pytest

from lab.base.errors import LabError
from lab.machines.apt_sources import Source, own_source
from lab.machines.disk import inside
from lab.machines.resolver import answer
from lab.machines.user_data import File, User, UserData, parse


def config(text: str) -> UserData:
    return parse(f"#cloud-config\n{text}")


def test_no_user_data_leaves_the_image_as_it_is() -> None:
    assert parse("") == UserData() == parse("#cloud-config\n")


def test_a_script_is_kept_whole() -> None:
    assert parse("#!/bin/sh\ntouch /x\n").script == "#!/bin/sh\ntouch /x\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("packages: [curl]", "'packages'"),
        ("users: [default, {name: a, gecos: b}]", "'users[1].gecos'"),
        ("write_files: [{path: /a, append: true}]", "'write_files[0].append'"),
        ("ssh_keys: {dsa_private: x}", "'ssh_keys.dsa_private'"),
    ],
)
def test_an_unknown_key_is_named_with_its_path(text: str, path: str) -> None:
    with pytest.raises(LabError, match=r"unknown key") as error:
        config(text)
    assert path in str(error.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("users: {name: a}", "users must be a list"),
        ("hostname: 3", "hostname must be a string"),
        ("disable_root: 'no'", "disable_root must be true or false"),
        ("users: [{sudo: x}]", "users[0] has no name"),
        ("write_files: [{path: a}]", "write_files[0].path 'a' is not absolute"),
        ("write_files: [{path: /a, content: '!', encoding: b64}]", "write_files[0].content is not base64"),
        ("write_files: [{path: /a, permissions: rw}]", "write_files[0].permissions 'rw' is not an octal mode"),
        ("write_files: [{path: /a, encoding: gz}]", "write_files[0].encoding 'gz' is unknown"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(text: str, path: str) -> None:
    with pytest.raises(LabError) as error:
        config(text)
    assert path in str(error.value)


def test_user_data_of_another_kind_is_refused() -> None:
    with pytest.raises(LabError, match="first line must be #cloud-config"):
        parse("Content-Type: multipart/mixed")


def test_users_without_default_leave_the_images_own_user_out() -> None:
    data = config("users: [{name: deploy, sudo: 'ALL=(ALL) ALL', groups: 'sudo, adm', ssh_authorized_keys: [k]}]")
    assert not data.default_user
    assert data.users == (User("deploy", ("ALL=(ALL) ALL",), ("k",), ("sudo", "adm")),)


def test_a_mode_is_octal_as_a_string_and_as_yaml_reads_it() -> None:
    data = config("write_files: [{path: /a, permissions: '0600'}, {path: /b, permissions: 0600}, {path: /c}]")
    assert [file.mode for file in data.files] == [0o600, 0o600, 0o644]


def test_content_in_base64_is_decoded() -> None:
    text = base64.b64encode(b"\x00\xff").decode()
    assert config(f"write_files: [{{path: /a, content: {text}, encoding: b64}}]").files == (
        File("/a", b"\x00\xff", 0o644, "root:root", late=False),
    )


def test_a_command_given_as_a_list_is_quoted_and_a_string_is_not() -> None:
    assert config("runcmd: ['a $B | c', [touch, 'x y', 3]]").commands == ("a $B | c", "touch 'x y' 3")


def test_a_link_in_a_root_never_leads_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "up").symlink_to("../../..")
    assert inside(tmp_path, "/var/run/x") == tmp_path / "run/x"
    assert inside(tmp_path, "/up/etc") == tmp_path / "etc"


def test_a_link_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(LabError, match="leads back to itself"):
        inside(tmp_path, "/a")


ONE_LINE = """# comment
deb-src http://mirror.example/a bookworm main
deb http://mirror.example/security bookworm-security main
deb [arch=amd64 signed-by=/keys/a.gpg] https://mirror.example/a bookworm main contrib
"""
DEB822 = """Types: deb
# why
URIs: http://mirror.example/b
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/b.gpg

Types: deb
URIs: http://mirror.example/other
Suites: bookworm-security
Components: main
"""


def test_the_mirror_comes_from_apt_in_its_one_line_format(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert own_source("bookworm", tmp_path) == Source("https://mirror.example/a", Path("/keys/a.gpg"))


def test_the_mirror_comes_from_apt_in_its_deb822_format(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    assert own_source("bookworm", tmp_path) == Source("http://mirror.example/b", Path("/keys/b.gpg"))


def test_a_list_of_mirrors_in_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "mirrors.txt").write_text("http://mirror.example/first priority:1\nhttp://mirror.example/second\n")
    (tmp_path / "sources.list").write_text(f"deb mirror+file:{tmp_path}/mirrors.txt noble main\n")
    assert own_source("noble", tmp_path) == Source("http://mirror.example/first", None)


def test_a_source_that_is_switched_off_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(f"Enabled: no\n{DEB822}")
    with pytest.raises(LabError, match="no apt source"):
        own_source("bookworm", tmp_path)


QUESTION = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05WEB-1\x00\x00\x01\x00\x01"


def test_the_resolver_knows_machines_by_name() -> None:
    reply = answer(QUESTION, {"web-1": "198.18.1.10"})
    assert reply[:2] == QUESTION[:2]
    assert reply[3] & 0x0F == 0
    assert reply.endswith(bytes([198, 18, 1, 10]))


def test_the_resolver_says_at_once_that_a_name_is_unknown() -> None:
    assert answer(QUESTION, {})[3] & 0x0F == 3


@pytest.mark.parametrize("message", [b"", QUESTION[:14], QUESTION[:-2], b"\x00" * 12])
def test_the_resolver_does_not_answer_what_is_no_question(message: bytes) -> None:
    assert answer(message, {}) == b""
