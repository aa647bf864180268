"""The child process: the same answers, killed when it hangs, gone when the parent is."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.media import Decoder, probe, read

from .clips import number_in, picture, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(path, [number * 100 for number in range(50)])
    return path


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(pid: int, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def test_same_as_in_process(clip: Path) -> None:
    with Decoder() as decoder:
        for source in (clip, clip.read_bytes(), np.stack([picture(1), picture(2)])):
            info = decoder.probe(source)
            assert info.times_s == probe(source).times_s
            assert np.array_equal(decoder.read(info, (28, 56)), read(probe(source), (28, 56)))


def test_one_child_serves_many_requests(clip: Path) -> None:
    decoder = Decoder()
    assert decoder._child is None
    decoder.probe(clip)
    first = decoder._child
    with pytest.raises(UserError, match="no such file"):
        decoder.probe(clip.with_name("other.mp4"))
    with pytest.raises(UserError, match=r"lasts 4\.9\d s"):
        decoder.probe(clip, SamplingConfig(start_s=9))
    decoder.probe(clip)
    assert decoder._child is first
    decoder.close()
    assert gone(first.pid)
    decoder.probe(clip)  # a closed one starts again
    decoder.close()


def test_the_child_imports_neither_torch_nor_main(clip: Path) -> None:
    with Decoder() as decoder:
        decoder.probe(clip)
        maps = Path(f"/proc/{decoder._child.pid}/maps").read_text()
    assert "libtorch" not in maps
    assert "libav" in maps


def test_a_hanging_child_is_killed(clip: Path) -> None:
    with Decoder(time_limit_s=30) as decoder:
        info = decoder.probe(clip)
        child = decoder._child
        decoder.time_limit_s = 1.0
        os.kill(child.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(UserError, match=r"clip\.mp4: not decoded within the limit of 1 s"):
            decoder.read(info)
        assert time.monotonic() - started < 10
        assert gone(child.pid)
        decoder.time_limit_s = 30
        assert [number_in(frame) for frame in decoder.read(info)] == [0, 10, 20, 30, 40]


def test_a_crashing_child_is_the_files_fault(clip: Path) -> None:
    with Decoder(time_limit_s=10) as decoder:
        info = decoder.probe(clip)
        pid = decoder._child.pid
        os.kill(pid, signal.SIGSTOP)  # so that it neither answers before it crashes nor crashes before it is asked
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert time.monotonic() < deadline, "the child does not stop"
            time.sleep(0.01)
        os.kill(pid, signal.SIGSEGV)
        waker = threading.Timer(2, decoder._child.send_signal, (signal.SIGCONT,))  # does nothing if it has ended
        waker.start()
        with pytest.raises(UserError, match=r"clip\.mp4: the decoder crashed"):
            decoder.read(info)
        assert len(decoder.read(info)) == 5


def test_warnings_cross_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, path = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_clip(whole, [number * 100 for number in range(50)])
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with Decoder() as decoder:
        decoder.probe(path)
    assert "cut.mkv" in caplog.text
    assert "cut short" in caplog.text


def test_the_child_ends_with_its_parent(clip: Path, tmp_path: Path) -> None:
    """Also when the parent is killed outright, and when the child is in the middle of something."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys, time
        from vl3.media import Decoder
        decoder = Decoder()
        decoder.probe({str(clip)!r})
        print(decoder._child.pid, flush=True)
        time.sleep(60)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
    wait_until_gone(child, 5)


def test_a_busy_child_ends_with_its_parent_too(tmp_path: Path) -> None:
    """A child in the middle of a request does not read its input, so it must notice otherwise."""
    busy = "import os, threading, time; from vl3.media.worker import watch_parent; "
    busy += "threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start(); "
    busy += "print(os.getpid(), flush=True); time.sleep(60)"
    script = tmp_path / "parent.py"
    script.write_text(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
        wait_until_gone(child, 10)


def test_abandoned_request_does_not_confuse_the_next(clip: Path) -> None:
    with Decoder() as decoder:
        info = decoder.probe(clip, SamplingConfig(fps=10))
        some = decoder.frames(info, None)
        next(some)
        some.close()
        assert [number_in(frame) for frame in decoder.read(info)] == list(range(50))


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """640 x 480 frames at full size are 0.9 MB each; the child may not keep them."""

    def peak_mb(num_frames: int) -> float:
        path = tmp_path / f"{num_frames}.mp4"
        write_clip(path, [number * 40 for number in range(num_frames)], size=(480, 640))
        with Decoder() as decoder:
            info = decoder.probe(path, SamplingConfig(fps=25, max_frames=1000))
            assert len(info.times_s) == num_frames
            decoder.read(info, (28, 56))
            status = Path(f"/proc/{decoder._child.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    assert peak_mb(240) - peak_mb(30) < 20
