"""The request to stop is heard at once, raised where the job asks, and enforced in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from job.stopping import GRACE, LAST_WORDS, Stopped, StopRequest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Exits:
    """Stands in for os._exit: remembers the code and lets the test wait for it."""

    def __init__(self):
        self.codes = []
        self.called = threading.Event()

    def __call__(self, code):
        self.codes.append(code)
        self.called.set()


def wait_until(condition):
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "waited for 20 s"
        time.sleep(0.01)


# -- what a request does

def test_nothing_is_raised_before_a_request():
    stop = StopRequest()
    stop.check()
    assert not stop.requested
    assert stop.seconds_left(15.0) == 15.0


def test_a_request_is_raised_at_every_check():
    stop = StopRequest()
    stop.note(signal.SIGTERM)
    assert stop.requested
    for _ in range(2):
        with pytest.raises(Stopped, match="stopped by SIGTERM") as caught:
            stop.check()
    assert caught.value.signum == signal.SIGTERM


def test_stopped_is_not_caught_by_clauses_that_forgive_failures():
    stop = StopRequest()
    stop.note(signal.SIGTERM)
    with pytest.raises(Stopped):
        try:
            stop.check()
        except Exception:
            pass


def test_the_time_left_is_counted_from_the_first_request():
    clock = Clock()
    stop = StopRequest(clock=clock)
    stop.note(signal.SIGTERM)
    clock.now += 4.0
    stop.note(signal.SIGTERM)
    assert stop.seconds_left(15.0) == 11.0
    clock.now += 40.0
    assert stop.seconds_left(15.0) == 0.0


def test_ctrl_c_after_another_request_ends_the_process_at_once():
    exits = Exits()
    stop = StopRequest(exit=exits)
    stop.note(signal.SIGINT)
    assert exits.codes == []
    stop.note(signal.SIGINT)
    assert exits.codes == [130]


def test_a_second_sigterm_changes_nothing():
    exits = Exits()
    stop = StopRequest(exit=exits)
    stop.note(signal.SIGTERM)
    stop.note(signal.SIGTERM)
    assert exits.codes == []


# -- real signals, in this process

@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request(signum):
    with StopRequest(exit=Exits()) as stop:
        os.kill(os.getpid(), signum)
        wait_until(lambda: stop.requested)
        with pytest.raises(Stopped) as caught:
            stop.check()
    assert caught.value.signum == signum


def test_the_earlier_handlers_come_back():
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)]
    with StopRequest(exit=Exits()):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_no_thread_remains():
    before = threading.active_count()
    with StopRequest(exit=Exits()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_after_the_grace_period_last_words_are_said_and_the_process_ends():
    exits, said = Exits(), []
    with StopRequest(grace=0.2, last_words=lambda: said.append(not exits.codes), exit=exits):
        os.kill(os.getpid(), signal.SIGTERM)
        assert exits.called.wait(20.0)
    assert exits.codes == [143]
    assert said == [True], "before the exit"


def test_a_job_that_ends_in_time_is_left_alone():
    exits = Exits()
    with StopRequest(grace=0.3, exit=exits) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: stop.requested)
    assert not exits.called.wait(0.5)


def test_last_words_that_do_not_end_are_cut_short():
    exits, never = Exits(), threading.Event()
    started = time.monotonic()
    with StopRequest(grace=0.05, last_words=never.wait, exit=exits):
        os.kill(os.getpid(), signal.SIGTERM)
        assert exits.called.wait(20.0)
    never.set()
    assert exits.codes == [143]
    assert time.monotonic() - started < LAST_WORDS + 5.0


def test_grace_and_last_words_fit_into_what_the_platform_gives():
    assert GRACE + LAST_WORDS < 15.0


def test_a_process_that_is_forked_off_has_the_usual_signals():
    """Otherwise it would survive SIGTERM, and its signal would reach the parent through the inherited descriptor."""
    with StopRequest(exit=Exits()) as stop:
        child = os.fork()
        if child == 0:
            time.sleep(60.0)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        time.sleep(0.2)
        assert not stop.requested
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


# -- processes of their own

def run_and_signal(program, *signals):
    """Start ``program``, send it ``signals`` once it has printed a line; returns (exit code, seconds, its output)."""
    process = subprocess.Popen([sys.executable, "-u", "-c", textwrap.dedent(program)], cwd=REPOSITORY,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=hear_hangups)
    try:
        assert process.stdout.readline() == b"ready\n"
        started = time.monotonic()
        for signum in signals:
            process.send_signal(signum)
            time.sleep(0.3)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()  # if it did not end: it would take a core from the other tests
        process.wait()
    return process.returncode, time.monotonic() - started, output.decode("utf-8")


def hear_hangups():
    """Let SIGHUP do what it does by default, also where the tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


BUSY = """
    import hashlib, sys
    from job.stopping import StopRequest
    with StopRequest(grace=0.5, last_words=lambda: print("left undone", flush=True)):
        print("ready")
        # One call that returns to Python only after minutes, as an iteration of TensorFlow may.
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
"""


def test_a_main_thread_inside_one_long_call_is_ended():
    code, seconds, output = run_and_signal(BUSY, signal.SIGTERM)
    assert code == 143
    assert seconds < 15.0
    assert "left undone" in output


def test_a_terminal_that_goes_away_stops_as_sigterm_does():
    code, _, output = run_and_signal(BUSY, signal.SIGHUP)
    assert code == 143
    assert "left undone" in output


def test_under_nohup_the_terminal_may_go_away():
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code, seconds, output = run_and_signal(ignoring + textwrap.dedent(BUSY), signal.SIGHUP, signal.SIGTERM)
    assert code == 143
    assert "SIGTERM" in output and "SIGHUP" not in output


def test_a_command_is_ended_in_order_when_the_terminal_goes_away():
    code, _, output = run_and_signal("""
        import time
        from job.stopping import ended_by_sigterm
        try:
            with ended_by_sigterm():
                print("ready")
                time.sleep(60.0)
        finally:
            print("in order", flush=True)
    """, signal.SIGHUP)
    assert code == 1 and "in order" in output and "stopped by SIGTERM" in output


def test_ctrl_c_twice_ends_a_long_call_at_once():
    code, seconds, output = run_and_signal(BUSY.replace("grace=0.5", "grace=100"), signal.SIGINT, signal.SIGINT)
    assert code == 130
    assert seconds < 15.0
    assert "left undone" not in output
