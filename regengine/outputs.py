"""Whether an output may be written: asked before any work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from regengine.errors import ConfigError


def check_new_file(out: Path, endings: Sequence[str], *, force: bool) -> None:
    """See to it that a file can be written.

    Parameters
    ----------
    out : Path
        Of ``--out``.
    endings : sequence of str
        What its name may end in.
    force : bool
        Whether a file that exists is to be replaced.

    Raises
    ------
    ConfigError
        If not.
    """
    if out.suffix.lower() not in endings:
        raise ConfigError(f"--out {out}: the file's name ends in {' or '.join(endings)}.")
    folder = out.absolute().parent
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"--out {out} cannot be written: name a file in a folder that exists and that you may "
            "write to."
        )
    if os.path.lexists(out) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
