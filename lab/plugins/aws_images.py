"""The AMIs that the stand-in of AWS knows, and the user that each lets in first.

Default users: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/managing-users.html. Whatever the image, the
lab's machine runs the host's own release.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Image:
    """One AMI.

    :param id: its id.
    :param name: its name, as a filter sees it.
    :param owner: the account that publishes it.
    :param user: its default user.
    """

    id: str
    name: str
    owner: str
    user: str


IMAGES: Final = (
    Image("ami-0deb1a00000000012", "debian-12-amd64-20260301-2000", "136693071363", "admin"),
    Image("ami-0deb1a00000000013", "debian-13-amd64-20260301-2000", "136693071363", "admin"),
    Image(
        "ami-0b0b0000000002404",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260301",
        "099720109477",
        "ubuntu",
    ),
    Image("ami-0a120000000002023", "al2023-ami-2023.10.20260301.0-kernel-6.1-x86_64", "137112412989", "ec2-user"),
)


def image_user(ami: str) -> str:
    """The default user of an AMI; an unknown one is taken for Debian's."""
    return next((image.user for image in IMAGES if image.id == ami), "admin")
