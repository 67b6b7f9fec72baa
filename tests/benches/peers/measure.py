"""Runs gantryd and its peers in turn, each in a process of its own, and prints what each needs and the ratios.

fps and CPU seconds of a peer are those between its tenth and its last frame, so that no start is charged to it; those
of gantryd are of the whole process. Memory is the largest resident size of the process.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass
class Run:
    """What one run needed."""

    frames: int
    fps: float
    cpu_ms: float
    peak_mib: float


def waited(command: list[str], threads: int) -> tuple[str, float, float]:
    """Output, CPU seconds and largest resident MiB of a command that may use so many cores."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}\n{text[-3000:]}")
    return text, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def peer(script: str, video: Path, model: Path, threads: int) -> Run:
    """One run of a Python peer."""
    text, _, peak = waited([sys.executable, str(HERE / script), str(video), str(model), str(threads)], threads)
    told = json.loads(text.strip().splitlines()[-1])
    return Run(told["frames"], told["fps"], told["cpu_ms"], peak)


def gantryd(program: Path, video: Path, model: Path, threads: int, more: list[str]) -> Run:
    """One run of gantryd, without its annotated video, as the peers make none."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "track", str(video), "--model", str(model), "--no-video", "--out", folder, *more]
        text, cpu, peak = waited(command, threads)
        lines = next(Path(folder).glob("*.jsonl")).read_text().count('"type":"frame"')
    found = re.search(r"speed\s+([\d.]+) fps over ([\d.]+) s", text)
    if not found:
        sys.exit(f"gantryd told no speed:\n{text[-2000:]}")
    fps = float(found[1])
    if lines == 0:
        sys.exit(f"gantryd wrote no result of a frame:\n{text[-2000:]}")
    return Run(lines, fps, cpu / lines * 1e3, peak)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--gantryd", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    video, model, threads = given.video, given.model, given.threads
    contenders = {
        "gantryd": lambda: gantryd(given.gantryd, video, model, threads, []),
        "gantryd, adaptive": lambda: gantryd(given.gantryd, video, model, threads, ["--detect-every", "adaptive"]),
        "supervision + OpenCV": lambda: peer("supervision_track.py", video, model, threads),
    }
    if "yolox" not in model.name.lower():
        contenders["Ultralytics track"] = lambda: peer("ultralytics_track.py", video, model, threads)
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(given.rounds):
        for name, run in contenders.items():
            print(f"round {number + 1} of {given.rounds}: {name}", file=sys.stderr)
            runs[name].append(run())
    middle = lambda name, what: statistics.median(getattr(run, what) for run in runs[name])
    peers = [name for name in runs if not name.startswith("gantryd")]
    fastest = max(peers, key=lambda name: middle(name, "fps"))
    print(f"{video.name}, {model.name}, {threads} threads, medians of {given.rounds}; ratios to {fastest}\n")
    print(f"{'':22} {'frames':>7} {'fps':>7} {'x':>5} {'CPU ms/frame':>13} {'x':>5} {'peak MiB':>9} {'x':>5}")
    for name in runs:
        cells = [f"{name:22} {middle(name, 'frames'):7.0f}"]
        for what, wide in (("fps", 7), ("cpu_ms", 13), ("peak_mib", 9)):
            value = middle(name, what)
            cells.append(f"{value:{wide}.1f} {value / middle(fastest, what):5.2f}")
        print(" ".join(cells))


if __name__ == "__main__":
    main()
