"""What was written is read again; what the end of a process tore off is dropped; damage is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simlab.kernel.inbox import ENTRY, EntryKind, Origin
from simlab.market.instruments import Instrument
from simlab.processes import NewsItem
from simlab.runner import journal as journal_module
from simlab.runner.journal import Journal, JournalDamaged, JournalError, Record, read


def rows_for(count: int, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, ENTRY)
    rows["step"], rows["number"], rows["origin"] = 7, np.arange(count), Origin.OUTSIDE
    rows["kind"], rows["price"] = EntryKind.MESSAGE, rng.integers(1, 10**6, count)
    return rows


RECORDS = [
    Record(1, rows_for(2), service=b"first"),
    Record(1, rows_for(0), (NewsItem(1, -1, "Ünï", sentiment=0.5), Instrument("X", 5)), b""),
    Record(4, rows_for(9, seed=1), service=b"x" * 700),
    Record(5, rows_for(1, seed=2)),
]


def written(folder: Path, records: list[Record] = RECORDS, **options: Any) -> Path:
    """Write records; return the last segment."""
    journal = Journal(folder, **options)
    for record in records:
        journal.append(record)
    journal.close()
    return sorted(folder.iterdir())[-1]


def same(found: list[Record], expected: list[Record], first: int = 0) -> bool:
    return [it.sequence for it in found] == list(range(first, first + len(expected))) and all(
        (a.step, list(a.texts), a.service, a.rows.tobytes())
        == (b.step, list(b.texts), b.service, b.rows.tobytes())
        for a, b in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("sync", ["always", "interval", "off"])
def test_what_was_written_is_read(tmp_path: Path, sync: str) -> None:
    written(tmp_path, sync=sync)
    assert same(list(read(tmp_path)), RECORDS)
    assert same(list(read(tmp_path, after=1)), RECORDS[2:], 2)
    assert list(read(tmp_path, after=3)) == []


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    for record in RECORDS:
        journal = Journal(tmp_path, start=0)
        journal.append(record)
        journal.close()
    assert same(list(read(tmp_path)), RECORDS)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_torn_tail_is_dropped_at_any_byte(tmp_path: Path) -> None:
    segment = written(tmp_path)
    whole = segment.read_bytes()
    ends = [0]
    for at, length in journal_module._frames(whole, segment, 0, is_last=True):
        ends.append(at + journal_module._frame_bytes(length))
    assert ends[-1] == len(whole)
    for cut in range(len(whole)):
        kept = sum(end <= cut for end in ends) - 1
        segment.write_bytes(whole[:cut])
        assert same(list(read(tmp_path)), RECORDS[:kept]), cut
        journal = Journal(tmp_path)
        assert (journal.next_sequence, segment.stat().st_size) == (kept, ends[kept])
        journal.append(RECORDS[0])
        journal.close()
        assert same(list(read(tmp_path, after=kept - 1)), RECORDS[:1], kept), cut


@pytest.mark.parametrize("sector", range(3))
def test_a_frame_of_which_a_sector_never_reached_the_disk_is_torn(tmp_path: Path, sector: int) -> None:
    segment = written(tmp_path, [RECORDS[0], Record(4, rows_for(9), service=b"y" * 500)])
    whole = bytearray(segment.read_bytes())
    start = 512 * (1 + sector)
    assert start < len(whole)
    whole[start : min(start + 512, len(whole))] = bytes(min(512, len(whole) - start))
    segment.write_bytes(whole)
    assert same(list(read(tmp_path)), RECORDS[:1])
    segment.write_bytes(whole[:512] + bytes(3_000))
    assert same(list(read(tmp_path)), RECORDS[:1])


def test_damage_is_an_error_wherever_it_is(tmp_path: Path) -> None:
    segment = written(tmp_path)
    whole = segment.read_bytes()
    for at in range(len(whole)):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        for act in (lambda: list(read(tmp_path)), lambda: Journal(tmp_path)):
            with pytest.raises(JournalDamaged, match=rf"{segment.name}: frame \d, at offset \d+"):
                act()
    segment.write_bytes(whole)
    assert same(list(read(tmp_path)), RECORDS)


def test_frames_that_are_missing_are_an_error(tmp_path: Path) -> None:
    written(tmp_path, RECORDS * 3, segment_bytes=1_000)
    segments = sorted(tmp_path.iterdir())
    assert len(segments) > 3
    assert same(list(read(tmp_path)), RECORDS * 3)
    content = segments[1].read_bytes()
    segments[1].write_bytes(content[:-1])
    with pytest.raises(JournalDamaged, match="at offset"):
        list(read(tmp_path))
    segments[1].unlink()
    with pytest.raises(JournalDamaged, match="are missing"):
        list(read(tmp_path))
    later = int(segments[2].stem) - 1
    assert same(list(read(tmp_path, after=later)), (RECORDS * 3)[later + 1 :], later + 1)


def test_rotation_keeps_all_until_there_is_too_much(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=15_000)
    for n in range(40):
        journal.append(RECORDS[2]._replace(step=n))
        if n % 4 == 3:
            journal.rotate(n)
    journal.close()
    left = list(read(tmp_path, after=int(min(tmp_path.iterdir()).stem) - 1))
    assert left[-1].step == 39
    assert 0 < left[0].sequence < 39
    assert sum(it.stat().st_size for it in tmp_path.iterdir()) <= 15_000
    with pytest.raises(JournalDamaged, match="frames 0 to"):
        list(read(tmp_path))


def test_rotation_keeps_what_no_checkpoint_has(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=1, segment_bytes=1)
    for n in range(6):
        journal.append(RECORDS[0]._replace(step=n))
    journal.rotate(2)
    journal.close()
    assert [it.step for it in read(tmp_path, after=2)] == [3, 4, 5]


def test_a_journal_that_lost_more_than_a_checkpoint_goes_on_behind_it(tmp_path: Path) -> None:
    written(tmp_path)
    journal = Journal(tmp_path, start=10)
    assert journal.append(RECORDS[0]) == 10
    journal.close()
    assert same(list(read(tmp_path, after=9)), RECORDS[:1], 10)
    with pytest.raises(JournalDamaged, match="frames 4 to 9 are missing"):
        list(read(tmp_path))


def test_when_a_sync_is_due(tmp_path: Path) -> None:
    journal = Journal(tmp_path, interval_ms=20)
    assert journal.due is None
    before = time.monotonic()
    journal.append(RECORDS[0])
    first = journal.due
    journal.append(RECORDS[1])
    assert first is not None
    assert first == journal.due
    assert before + 0.02 <= first <= time.monotonic() + 0.02
    journal.sync()
    assert journal.due is None
    journal.close()


def test_a_disk_that_is_full_leaves_whole_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.append(RECORDS[0])
    real = os.writev

    def nearly_full(file: int, pieces: list[Any]) -> int:
        real(file, [b"".join(pieces)[:50]])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.writev", nearly_full)
    with pytest.raises(JournalError, match="No space left"):
        journal.append(RECORDS[1])
    monkeypatch.undo()
    assert journal.append(RECORDS[1]) == 1
    journal.close()
    assert same(list(read(tmp_path)), RECORDS[:2])
    with pytest.raises(JournalError, match="closed"):
        journal.append(RECORDS[0])


def test_what_is_no_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="ENTRY"):
        journal.append(Record(0, np.zeros(3)))
    monkeypatch.setattr(journal_module, "_MOST_BYTES", 1_000)
    with pytest.raises(JournalError, match="too long"):
        journal.append(Record(0, rows_for(20)))
    journal.close()
    assert list(read(tmp_path)) == []


WRITER = """
import sys
from pathlib import Path
from test_journal import RECORDS
from simlab.runner.journal import Journal
journal = Journal(Path(sys.argv[1]), sync="interval", segment_bytes=20_000)
while True:
    for record in RECORDS:
        print(journal.append(record), flush=True)
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    for acknowledged in (10, 200, 777):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        ) as process:
            try:
                assert process.stdout is not None
                last = -1
                for _ in range(acknowledged):
                    last = int(process.stdout.readline())
            finally:
                process.send_signal(signal.SIGKILL)
                told = [int(line) for line in process.communicate()[0].splitlines() if line]
        found = list(read(tmp_path))
        assert [it.sequence for it in found] == list(range(len(found)))
        assert len(found) > max([last, *told])


def test_a_folder_without_segments_holds_nothing(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []
