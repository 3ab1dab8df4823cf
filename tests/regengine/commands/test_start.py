"""What is said before anything is imported that a system may lack."""

from __future__ import annotations

import sys

import pytest

from regengine.__main__ import run as start_program


def test_windows_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match=r"^Error: regengine runs on Linux and macOS: .*\.$"):
        start_program()
