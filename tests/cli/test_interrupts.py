"""SIGINT and SIGTERM end a command at any time with exit code 130 and one sentence, never with a traceback."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell import SOURCES, TINY, finish, start

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="sees handlers in Linux's /proc")
ENDLESS = ("fit", *TINY, "--epochs", "1000000", "--quiet")
BOTH = (signal.SIGINT, signal.SIGTERM)


def is_caught(process: subprocess.Popen, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    mask = next(line for line in lines if line.startswith("SigCgt:")).split()[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


def wait_until_caught(process: subprocess.Popen, limit: float = 120.0) -> None:
    """Until the command line is up: before that it is Python that ends, by the signal itself."""
    end = time.monotonic() + limit
    while process.poll() is None and not is_caught(process, signal.SIGTERM):
        assert time.monotonic() < end, "no handler"
        time.sleep(0.002)


def interrupted(folder: Path, delay: float, number: int, *, twice: bool = False) -> str:
    """What a fit says that gets a signal so many seconds after it began to listen."""
    process = start(*ENDLESS, "--out", folder)
    try:
        wait_until_caught(process)
        time.sleep(delay)
        for _ in range(1 + twice):
            process.send_signal(number)
            time.sleep(0.05)
        code, out, err = finish(process)
    finally:
        process.kill()
    assert (code, out) == (130, ""), err
    assert err.count("\n") == 1, err
    assert err.startswith("nelbo: interrupted"), err
    return err


@pytest.mark.share(2)
@pytest.mark.parametrize(("delay", "number"), [(0.0, signal.SIGINT), (0.5, signal.SIGTERM), (4.0, signal.SIGTERM)])
def test_a_signal_at_any_time_is_one_sentence(delay, number, tmp_path):
    told = interrupted(tmp_path / "run", delay, number)
    begun = (tmp_path / "run" / "config.json").exists()
    assert ("nelbo fit --resume --out" in told) == begun


@pytest.mark.slow  # 42 processes
@pytest.mark.parametrize("number", BOTH)
def test_a_signal_at_many_times_is_one_sentence(number, tmp_path):
    chance = random.Random(number)
    for i in range(20):
        delay = [0.0, 0.1, 0.5, 1.0, 2.0, 4.0][i] if i < 6 else chance.uniform(0.0, 8.0)
        interrupted(tmp_path / str(i), delay, number, twice=i % 4 == 3)


STUBBORN = {
    "swallowed by a callback": """
        thing = Thing()
        reference = weakref.ref(thing, lambda _: (os.kill(os.getpid(), signal.SIGINT), time.sleep(1.0)))
        del thing
        time.sleep(60.0)
    """,
    "turned into another error": """
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60.0)
        except KeyboardInterrupt:
            raise ImportError("half a module") from None
    """,
    "held up by what is put in order": """
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            time.sleep(60.0)
    """,
    "with work in another thread": """
        threading.Thread(target=time.sleep, args=(60.0,)).start()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60.0)
    """,
}


@pytest.mark.share(4)
@pytest.mark.parametrize("how", STUBBORN)
def test_a_signal_is_heard_where_python_would_lose_it(how, tmp_path):
    code = f"""
import argparse, os, signal, threading, time, weakref
from nelbo import cli
from nelbo.cli import parser

class Thing:
    pass

def carry_out(options):
    if True:{STUBBORN[how].replace(chr(10), chr(10) + "    ")}

parser.parse = lambda _: argparse.Namespace(seed=None, carry_out=carry_out)
cli.run()
"""
    (tmp_path / "script.py").write_text(code)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": SOURCES})  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "nelbo: interrupted.\n")
    assert time.monotonic() - begun < 55.0
