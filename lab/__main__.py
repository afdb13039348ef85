"""`python -m lab demo`, `python -m lab bench`."""

import signal
import sys

from lab.bench import bench
from lab.demo import demo


def main() -> int:
    """Run what the first argument names."""
    actions = {"demo": demo, "bench": bench}
    if len(sys.argv) < 2 or sys.argv[1] not in actions:
        print(f"usage: python -m lab {'|'.join(actions)}", file=sys.stderr)
        return 2
    # Being asked to end is treated like Ctrl-C: everything that was started is taken down first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return actions[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
