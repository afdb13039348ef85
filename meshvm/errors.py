"""The errors of meshvm: one root, and one class for each party that can mend it.

MeshvmError
├── ArgumentError   the program gave a value that cannot work
└── ClusterError    the API server cannot be reached, refuses, or lacks something
"""


class MeshvmError(Exception):
    """Root of all errors that meshvm raises on purpose; its text is one sentence for a person."""


class ArgumentError(MeshvmError):
    """An argument cannot work as it is.

    :param path: where it stands, as the user typed it: `ssh.port`, `ports[0].name`.
    :param wrong: what is wrong with it; names the value unless that is secret.
    :param instead: what to write instead.
    """

    def __init__(self, path: str, wrong: str, instead: str) -> None:
        super().__init__(f"{path}: {wrong}; {instead}")
        self.path = path
        self.reason = f"{wrong}; {instead}"


class ClusterError(MeshvmError):
    """The API server did not give what was asked of it.

    :param message: what was asked, what came back, what to do.
    :param unreachable: True when no API server answered, so that a preview can go on without it.
    :param missing: True when the API server knows that there is no such object.
    :param refused: True when the credentials lack the right to what was asked.
    """

    def __init__(
        self, message: str, *, unreachable: bool = False, missing: bool = False, refused: bool = False
    ) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        self.missing = missing
        self.refused = refused
