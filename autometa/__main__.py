"""``python -m autometa`` is the command ``autometa``."""

# No import here but of what Python has loaded by now: until _leave_folder, a file beside the data could be taken for
# a module of ours. Not even `from __future__`.

import os
import sys


def run() -> int:
    """Run the command line of this process, after :func:`_leave_folder`."""
    _leave_folder()
    from autometa.cli import main

    return main()


def _leave_folder() -> None:
    """Import from the folder that Python puts first on the path, that of the user or of cli.py, last if at all.

    ``python -m`` begins with the folder where the user works, a script with its own. Nothing is needed from either,
    unless the package itself came from there: a checkout that is not installed, in which child processes look, too.
    """
    if getattr(sys.flags, "safe_path", False) or not sys.path:
        return
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    first = os.path.abspath(sys.path[0] or os.getcwd())  # noqa: PTH100, PTH109
    if first in (os.path.abspath(os.getcwd()), package):  # noqa: PTH100, PTH109
        del sys.path[0]
    if first == package:
        sys.path.append(package)


if __name__ == "__main__":
    sys.exit(run())
