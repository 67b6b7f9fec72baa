"""Writes tests/fixtures/evaluate: drawn-up sequences, and what TrackEval and py-motmetrics make of them.

    make_tracking_fixtures.py        (from the root of the repository, see requirements-tracking.txt)

Objects walk and meet; tracks follow them with misses, false boxes, changed ids and shifts in whole pixels,
so that equally good pairings are common. Each benchmark's special rows are there: distractors and rows with
confidence 0; vans, truncated and hidden cars, DontCare regions and low boxes.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE.parent / "fixtures/evaluate"
FRAMES = 30
OBJECTS = 7


def walk(rng):
    """Boxes of each object: {(frame, id): [left, top, width, height]}, frames from 1."""
    boxes = {}
    for number in range(1, OBJECTS + 1):
        left, top = rng.randrange(0, 300, 10), rng.randrange(0, 120, 10)
        step = rng.choice([-6, -4, 4, 6])
        height = rng.choice([24, 50, 80])
        first, last = rng.randrange(1, 8), rng.randrange(FRAMES - 8, FRAMES + 1)
        for frame in range(first, last + 1):
            boxes[frame, number] = [left + step * (frame - first), top, height // 2, height]
    return boxes


def follow(rng, boxes):
    """Tracks on these boxes, with every fault a tracker makes."""
    tracks, offset = {}, {}
    for (frame, number), box in sorted(boxes.items()):
        if rng.random() < 0.04:
            offset[number] = rng.randrange(20, 60)
        track = number + offset.get(number, 0) if rng.random() > 0.03 else rng.randrange(1, OBJECTS + 1)
        if rng.random() < 0.12 or (frame, track) in tracks:
            continue
        shift = [rng.choice([-4, 0, 0, 2, 6]) for _ in range(2)] + [rng.choice([-2, 0, 0, 4]) for _ in range(2)]
        tracks[frame, track] = [value + by for value, by in zip(box, shift)]
        if rng.random() < 0.08:
            stray = [rng.randrange(0, 400), rng.randrange(0, 200), 20, rng.choice([20, 25, 26, 60])]
            tracks[frame, 900 + rng.randrange(3)] = stray
    return tracks


def mot_truth(rng, boxes, form):
    classes = {number: rng.choice([1, 1, 1, 1, 2, 6, 7, 8, 12, 3]) for number in range(1, OBJECTS + 1)}
    classes[1] = 1
    for (frame, number), box in sorted(boxes.items()):
        # A person that is hidden for a while is marked as not to be counted.
        mark = 0 if rng.random() < 0.1 else 1
        kind = 1 if form in ("mot15", "dancetrack", "plain") else classes[number]
        yield ",".join(map(str, [frame, number, *box, mark, kind, 1]))


def kitti_truth(rng, boxes):
    kinds = {number: rng.choice(["Car", "Car", "Van", "Pedestrian", "Person", "Cyclist"]) for number in range(99)}
    kinds[1], kinds[2] = "Car", "Pedestrian"
    rows = []
    for (frame, number), (left, top, width, height) in sorted(boxes.items()):
        truncated, occluded = rng.choice([0] * 8 + [1, 2]), rng.choice([0, 0, 1, 2, 2, 3])
        box = [left, top, left + width, top + height]
        rows.append([frame - 1, number, kinds[number], truncated, occluded, -10, *box, *[-1] * 7])
    for frame in range(0, FRAMES, 2):
        rows.append([frame, -1, "DontCare", -1, -1, -10, 0, 0, 120, 90, *[-1] * 7])
    rows.sort(key=lambda row: row[0])
    return (" ".join(map(str, row)) for row in rows)


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows))


def scores_of(script, *arguments):
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    for form, kind in [
        ("mot15", None), ("mot17", None), ("mot20", None), ("dancetrack", None), ("plain", None),
        ("kitti", "car"), ("kitti", "pedestrian"),
    ]:  # fmt: skip
        folder = OUT / (f"{form}-{kind}" if kind else form)
        for seed in range(3):
            name, rng = f"walk-{seed}", random.Random(f"{form}-{seed}")
            boxes = walk(rng)
            truth = kitti_truth(rng, boxes) if form == "kitti" else mot_truth(rng, boxes, form)
            write(folder / f"gt/{name}/gt.txt", truth)
            tracks = sorted(follow(rng, boxes).items())
            rows = (",".join(map(str, [frame, track, *box, 1, -1, -1, -1])) for (frame, track), box in tracks)
            write(folder / f"tracks/{name}.txt", rows)
        write(folder / "gt/untracked/gt.txt", (folder / "gt/walk-0/gt.txt").read_text().splitlines())
        write(folder / "tracks/untracked.txt", [])
        for sequence in (folder / "gt").iterdir():
            write(sequence / "seqinfo.ini", ["[Sequence]", f"name={sequence.name}", f"seqLength={FRAMES}"])
        arguments = [folder / "gt", folder / "tracks", form, *([kind] if kind else [])]
        expected = {
            "source": f"TrackEval 1.3.0: tests/reference/trackeval_scores.py gt tracks {form} {kind or ''}".strip(),
            "scores": scores_of("trackeval_scores.py", *arguments),
        }
        if form == "mot15":
            expected["motmetrics_source"] = "py-motmetrics 1.4.0: tests/reference/motmetrics_scores.py"
            # In walk-1 an object is offered its track of earlier frames again: py-motmetrics goes back to it,
            # TrackEval continues with the track of the frame before only, and IDSW differs by definition.
            expected["motmetrics"] = {
                name: scores_of("motmetrics_scores.py", folder / f"gt/{name}/gt.txt", folder / f"tracks/{name}.txt")
                for name in ("walk-0", "walk-2")
            }
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
