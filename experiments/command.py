"""What the commands of this folder share: user errors become one message and exit code 2."""

import sys
from collections.abc import Callable

from ntil.errors import UserError


def guard(action: Callable[[], int]) -> int:
    """The exit code of `action`; 2 for a mistake that the user can mend, 130 for Ctrl-C."""
    try:
        return action()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
