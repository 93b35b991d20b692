"""Which checkpoints wait, which are dropped, and what is still undelivered; as tables."""
from __future__ import annotations

import pytest

from job.publication.upload_queue import LOGS, Queue
from tests.job.publication.test_publisher import snapshot


def name(iteration):
    return f"ckpt-{iteration:06d}-aaaa"


def queue_of(waiting, under_way=None, **fields):
    """waiting: iterations, negative for one that was the best when it was made."""
    items = tuple(snapshot(abs(each), best=each < 0) for each in waiting)
    return Queue(items, under_way=name(under_way) if isinstance(under_way, int) else under_way, **fields)


def iterations(items):
    return [(-1 if item.best else 1) * item.progress.iteration for item in items]


@pytest.mark.parametrize("waiting, under_way, added, kept, dropped", [
    ([], None, 10, [10], []),
    ([10], None, 20, [20], [10]),
    ([-10], None, 20, [-10, 20], []),
    ([-10], None, -20, [-20], [-10]),
    ([-10, 20], None, 30, [-10, 30], [20]),
    ([10], 10, 20, [10, 20], []),
    ([10, -20, 30], 10, 40, [10, -20, 40], [30]),
    ([10, -20, 30], 10, -40, [10, -40], [-20, 30]),
    ([-10, -20], 10, 30, [-10, -20, 30], []),
])
def test_the_newest_the_best_and_the_one_under_way_wait(waiting, under_way, added, kept, dropped):
    queue, gone = queue_of(waiting, under_way).add(snapshot(abs(added), best=added < 0))
    assert (iterations(queue.waiting), iterations(gone)) == (kept, dropped)
    assert queue.logs_due


def test_one_that_is_kept_for_good_waits_in_the_spool_not_in_memory_and_no_longer_as_the_best():
    queue = Queue((snapshot(10, kept=True), snapshot(20, best=True, kept=True)._replace(arrays=None)))
    assert queue.holds_kept_in_memory()
    queue, gone = queue.add(snapshot(30, best=True))
    assert (iterations(queue.waiting), iterations(gone)) == ([20, -30], [10])
    assert not queue.holds_kept_in_memory()


@pytest.mark.parametrize("waiting, failed, kept, dropped, attempts", [
    ([10], 10, [10], [], [2]),
    ([10, 20], 10, [20], [10], [1]),
    ([-10, 20], 10, [-10, 20], [], [2, 1]),
    ([-10, -20], 10, [-20], [-10], [1]),
    ([-10, 20], 20, [-10, 20], [], [1, 2]),
])
def test_a_checkpoint_that_failed_waits_under_a_fresh_name_unless_it_is_superseded(waiting, failed, kept, dropped,
                                                                                   attempts):
    queue, gone = queue_of(waiting, failed).failed(snapshot(failed))
    assert (iterations(queue.waiting), iterations(gone)) == (kept, dropped)
    assert [item.attempt for item in queue.waiting] == attempts
    assert queue.under_way is None and queue.logs_due and queue.failed_uploads == (name(failed),)


def test_log_files_that_failed_are_due_again():
    queue, gone = queue_of([10], LOGS).failed(None)
    assert gone == [] and queue.logs_due and queue.failed_uploads == () and queue.waiting[0].attempt == 1


@pytest.mark.parametrize("queue, under_way", [
    (queue_of([10, -20]), name(20)),
    (queue_of([-10, 20]), name(20)),
    (queue_of([], logs_due=True), LOGS),
])
def test_the_newest_checkpoint_is_begun_without_its_arrays_or_the_log_files(queue, under_way):
    begun, item = queue.begin()
    assert begun.under_way == under_way and not begun.logs_due and begun.waiting == queue.waiting
    assert item is None if under_way == LOGS else (item.name, item.arrays) == (under_way, None)


@pytest.mark.parametrize("queue, told, empty", [
    (queue_of([]), [], True),
    (queue_of([], logs_due=True), [LOGS], False),
    (queue_of([], LOGS), [LOGS], False),
    (queue_of([10, 20], 20), [name(10), name(20)], False),
    (queue_of([10], logs_due=True), [name(10)], False),
    (queue_of([20], not_begun=((name(10), "late"),)), [name(10), name(20)], False),
    (queue_of([], not_begun=((name(10), "late"),)), [name(10)], True),
])
def test_what_is_undelivered_is_named(queue, told, empty):
    assert (queue.undelivered(), queue.empty) == (told, empty)


def test_after_a_checkpoint_its_log_files_are_under_way_until_they_have_succeeded():
    queue = queue_of([10, 20]).begin()[0].delivered(name(20))
    assert queue.names() == [name(10)] and queue.under_way == LOGS
    assert queue.succeeded().under_way is None


def test_in_the_spool_a_checkpoint_needs_no_memory():
    queue = queue_of([10, 20])
    assert queue.in_memory().name == name(10)
    queue = queue.spooled(name(10), {"network.npz": "digest"})
    assert queue.in_memory().name == name(20)
    assert (queue.find(name(10)).arrays, queue.find(name(10)).digests) == (None, {"network.npz": "digest"})
    assert queue.find(name(30)) is None


def test_late_checkpoints_are_taken_out_with_the_reason():
    queue = queue_of([10, 20, 30]).without_late(lambda item: "late" if item.progress.iteration != 20 else None)
    assert queue.names() == [name(20)]
    assert queue.not_begun == ((name(10), "late"), (name(30), "late"))
