"""What cannot be written is found before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simlab.core.files import require_writable_file, require_writable_folder
from simlab.errors import RecordingError

AS_ROOT = os.geteuid() == 0


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("kept")
    with pytest.raises(RecordingError, match=r"taken is a file, not a folder; name a folder with --out"):
        require_writable_folder(taken)
    with pytest.raises(RecordingError, match=r"nothing can be written to the folder .*taken/b \(Not a dir"):
        require_writable_folder(taken / "b")
    with pytest.raises(RecordingError, match=r"is a folder; name a file in it with --table"):
        require_writable_file(tmp_path, "--table")
    require_writable_file(taken)
    assert taken.read_text() == "kept"
    require_writable_file(tmp_path / "new" / "table.parquet")
    assert not (tmp_path / "new" / "table.parquet").exists()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RecordingError, match="Permission denied"):
        require_writable_folder(tmp_path)
    tmp_path.chmod(0o700)


def test_a_file_system_that_takes_nothing_is_refused() -> None:
    with pytest.raises(RecordingError, match="nothing can be written to the folder /proc/simlab"):
        require_writable_file(Path("/proc/simlab/table.parquet"))
