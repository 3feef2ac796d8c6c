"""What remains of a run when the process is killed, the disk is full or the caller fails."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from recorded_events import one_of_each, quote_rows, realistic

from simlab.core.types import EVENT_DTYPE
from simlab.errors import RecordingError
from simlab.recording import TABLES, RunWriter, open_run
from simlab.recording.columns import arrow_table
from simlab.recording.queue import ClosedError, RecordQueue

REPOSITORY = Path(__file__).parents[2]

KILLED = """
import sys
from recorded_events import realistic
from simlab.recording import RunWriter
writer = RunWriter(sys.argv[1], config={"steps": 1}, rows_per_part=1_000)
events = realistic(20_000)
writer.events(events[:10_000])
writer.flush()
print("flushed", flush=True)
while True:
    writer.events(events[10_000:])
"""

LIMITED = """
import resource, sys
from recorded_events import realistic
from simlab.errors import RecordingError
from simlab.recording import RunWriter
with RunWriter(sys.argv[1], config={}, rows_per_part=10_000) as writer:
    events = realistic(200_000)
    writer.events(events[:20_000])
    writer.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    while True:
        writer.events(events)
"""


def child(code, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent)])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def record_for_ever(writer):
    while True:
        writer.events(realistic(10_000))


def fill_the_disk(writer, table):
    """Let the next part of a table go to a device that is always full."""
    folder = writer.path / table
    folder.mkdir(exist_ok=True)
    (folder / ".part-00000.parquet.writing").symlink_to("/dev/full")


def test_killed_run_keeps_every_flushed_part(tmp_path):
    path = tmp_path / "run"
    with child(KILLED, path) as process:
        assert process.stdout.readline() == "flushed\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    run = open_run(path)
    assert not run.finished
    assert run.event_log_hash is None
    assert run.manifest["status"] == "running"
    assert run.manifest["pid"] == process.pid
    assert f"unfinished (killed, pid {process.pid})" in repr(run)
    sequences = np.concatenate([run.messages(names=False)["sequence"], run.trades(names=False)["sequence"]])
    assert set(range(10_000)) <= set(sequences)
    assert run.config == {"steps": 1}


COMMITTED = """
import sys
import numpy as np
from recorded_events import quote_rows, realistic
from simlab.recording import RunWriter
writer = RunWriter(sys.argv[1], config={}, manifest={"steps": 9_000})
events = realistic(20_000)
step = 0
while True:
    events["step"] = step
    writer.events(events[:300])
    if step % 3 == 0:
        writer.rows("quotes", quote_rows(np.arange(step, step + 3)))
    step += 1
    if step % 3 == 0:
        writer.commit(step)
    if step == 300:
        print("committed", flush=True)
"""


def test_all_tables_of_a_killed_run_end_at_the_same_step(tmp_path):
    path = tmp_path / "run"
    with child(COMMITTED, path) as process:
        assert process.stdout.readline() == "committed\n"
        while not (path / "reached.json").exists():
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = open_run(path)
    reached = run.reached
    assert reached > 0
    assert reached % 3 == 0
    assert run.status == f"unfinished (killed, pid {process.pid}); recorded to step {reached:,} of 9,000"
    for table in (run.messages, run.trades, run.quotes):
        assert table(names=False)["step"].max() == reached - 1
    assert len(run.messages(names=False)) + len(run.trades(names=False)) == 300 * reached
    counts = run.sql("select count(*) as n, max(step) as last from quotes")
    assert (counts["n"][0], counts["last"][0]) == (run.tables()["quotes"], reached - 1)
    assert run.tables()["quotes"] == reached


def test_what_was_committed_before_a_failure_is_what_is_read(tmp_path):
    writer = RunWriter(tmp_path / "run", config={}, manifest={"steps": 5})
    writer.events(one_of_each())
    writer.commit(3)
    writer.abandon("the strategy raised", {"failed_step": 3})
    run = open_run(tmp_path / "run")
    assert (run.finished, run.reached, run.manifest["failed_step"]) == (False, 3, 3)
    assert run.status == "unfinished (failed: the strategy raised); recorded to step 3 of 5"
    assert run.messages(names=False)["step"].max() == 2
    assert not (tmp_path / "run" / "reached.json").exists()


def test_an_open_reader_sees_that_the_run_has_ended(tmp_path):
    writer = RunWriter(tmp_path / "run", config={}, manifest={"steps": 4})
    run = open_run(tmp_path / "run")
    assert run.reached is None
    writer.events(one_of_each())
    writer.commit(4)
    writer.finish()
    assert (run.reached, run.status, run.messages(names=False)["step"].max()) == (4, "finished", 3)


def test_the_end_says_how_far_a_recording_reaches(tmp_path):
    writer = RunWriter(tmp_path / "run", config={}, manifest={"steps": 4})
    writer.events(one_of_each())
    writer.commit(2)
    writer.finish(step=4)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["reached"] == 4
    assert not (tmp_path / "run" / "reached.json").exists()


def test_full_disk_stops_the_run_and_keeps_what_was_written(tmp_path):
    writer = RunWriter(tmp_path / "run", config={})
    writer.rows("quotes", quote_rows(np.arange(10)))
    writer.flush()
    fill_the_disk(writer, "messages")
    with pytest.raises(
        RecordingError, match=r"the disk is full.*bytes free.*10 rows written before"
    ) as caught:
        record_for_ever(writer)
    assert caught.value.__cause__.errno == errno.ENOSPC
    with pytest.raises(RecordingError, match="the disk is full"):
        writer.finish()
    run = open_run(tmp_path / "run")
    assert run.manifest["status"].startswith("failed: the disk is full")
    assert not run.finished
    assert run.tables()["quotes"] == run.manifest["counts"]["quotes"] == 10
    assert run.tables()["messages"] == 0


@pytest.mark.parametrize("last_call", ["finish", "flush"])
def test_full_disk_is_told_at_the_last_call(tmp_path, last_call):
    writer = RunWriter(tmp_path / "run", config={})
    fill_the_disk(writer, "messages")
    writer.events(one_of_each())
    with pytest.raises(RecordingError, match="the disk is full"):
        getattr(writer, last_call)()


def test_limited_disk_fails_the_process_and_keeps_parts(tmp_path):
    path = tmp_path / "run"
    with child(LIMITED, path) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert f"RecordingError: cannot record to {path}: " in errors
    assert os.strerror(errno.EFBIG) in errors
    run = open_run(path)
    assert run.manifest["status"].startswith("failed: cannot record")
    assert sum(run.tables().values()) >= 20_000
    assert run.tables() == run.manifest["counts"]
    assert not list(path.rglob("*.writing"))


def test_failure_of_the_caller_is_told_in_the_manifest(tmp_path):
    def fail():
        with RunWriter(tmp_path / "run", config={}) as writer:
            writer.events(one_of_each())
            _ = 1 // 0

    with pytest.raises(ZeroDivisionError):
        fail()
    run = open_run(tmp_path / "run")
    assert run.manifest["status"] == "failed: ZeroDivisionError: integer division or modulo by zero"
    assert run.tables()["messages"] == 7


def test_bad_summary_does_not_lose_the_run(tmp_path):
    def fail():
        with RunWriter(tmp_path / "run", config={}) as writer:
            writer.events(one_of_each())
            writer.finish({"market": object()})

    with pytest.raises(RecordingError, match="plain data"):
        fail()
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["status"].startswith("failed: RecordingError")
    assert manifest["counts"]["messages"] == 7


def test_event_that_no_table_can_hold_is_told(tmp_path):
    events = one_of_each()
    events["kind"][3] = 200
    writer = RunWriter(tmp_path / "run", config={})
    writer.events(events)
    with pytest.raises(RecordingError, match="cannot record to"):
        writer.finish()


def test_queue_holds_no_more_than_its_blocks():
    queue = RecordQueue(buffers=3, buffer_events=10, row_bytes=100)
    events = np.zeros(31, EVENT_DTYPE)
    events["sequence"] = np.arange(31)
    producer = threading.Thread(target=queue.put_events, args=(events,))
    producer.start()
    taken = []
    for _ in range(3):
        block = queue.take(60.0).events
        taken += block["sequence"].tolist()
        assert len(block) == 10
        queue.release()
    producer.join()
    queue.close()
    taken += queue.take(0.0).events["sequence"].tolist()
    assert taken == list(range(31))
    assert queue.take(0.0) is None


def test_producer_waits_until_a_block_is_given_back():
    queue = RecordQueue(buffers=2, buffer_events=10, row_bytes=100)
    queue.put_events(np.zeros(20, EVENT_DTYPE))
    done = threading.Event()

    def produce():
        queue.put_events(np.ones(1, EVENT_DTYPE))
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    block = queue.take(60.0).events
    assert not done.is_set()
    assert not block["sequence"].any()
    queue.release()
    producer.join()
    assert done.is_set()


def test_dead_consumer_frees_a_waiting_producer():
    queue = RecordQueue(buffers=2, buffer_events=10, row_bytes=100)
    refused = []

    def produce():
        try:
            queue.put_events(np.zeros(1_000, EVENT_DTYPE))
        except ClosedError:
            refused.append(True)

    producer = threading.Thread(target=produce)
    producer.start()
    queue.abort()
    producer.join()
    assert refused == [True]
    with pytest.raises(ClosedError):
        queue.flush()


def test_waiting_rows_are_bounded():
    rows = arrow_table(TABLES["quotes"], quote_rows(np.arange(10)))
    queue = RecordQueue(buffers=2, buffer_events=10, row_bytes=1)
    queue.put_rows("quotes", rows)
    done = threading.Event()

    def produce():
        queue.put_rows("quotes", rows)
        done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    assert not done.is_set()
    assert queue.take(60.0).rows == ("quotes", rows)
    producer.join()
    assert queue.take(60.0).rows == ("quotes", rows)
