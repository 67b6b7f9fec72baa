"""TrackEval's figures for `gantryd eval --gt GT --tracks TRACKS --format FORMAT`, as JSON on stdout.

    trackeval_scores.py GT TRACKS FORMAT [CLASS]

GT holds SEQUENCE/gt.txt (and SEQUENCE/seqinfo.ini), TRACKS holds SEQUENCE.txt in MOTChallenge columns.
FORMAT is mot15, mot17, mot20, dancetrack, kitti or plain; CLASS is car or pedestrian for kitti.
Plain has no TrackEval data set of its own: its rows with confidence 0 are given to the MOT17 one as
distractors, and all others as pedestrians. Figures are those of TrackEval's own classes, untouched.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import trackeval

BENCHMARKS = {"mot15": "MOT15", "mot17": "MOT17", "mot20": "MOT20", "dancetrack": "MOT17", "plain": "MOT17"}


def frames_of(sequence, rows, first):
    """Frames of a sequence: by its seqinfo.ini, else up to the last row."""
    info = sequence / "seqinfo.ini"
    if info.exists():
        for line in info.read_text().splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "seqLength":
                return int(value)
    return max((int(float(row[0])) - first + 1 for row in rows), default=0)


def rows_of(path):
    return [line.split(",") for line in path.read_text().splitlines() if line.strip()]


def plain_as_mot17(rows):
    for row in rows:
        row = (row + ["1", "1", "1"])[:9] if len(row) < 9 else row[:9]
        is_ignored = int(float(row[6])) == 0
        yield row[:6] + ["1", "8" if is_ignored else "1", "1"]


def mot(gt, tracks, form, work):
    """Lays the files out for TrackEval and answers its data set."""
    lengths = {}
    for sequence in sorted(path for path in gt.iterdir() if path.is_dir()):
        truth, found = rows_of(sequence / "gt.txt"), rows_of(tracks / f"{sequence.name}.txt")
        lengths[sequence.name] = frames_of(sequence, truth + found, 1)
        if form == "plain":
            truth = plain_as_mot17(truth)
        # Classes of tracks are not part of this comparison; TrackEval takes 1 or -1.
        write(work / "gt" / f"{sequence.name}.txt", truth)
        write(work / "tracks/one/data" / f"{sequence.name}.txt", (row[:7] + ["-1"] * 3 for row in found))
    return trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(work / "gt"),
            "TRACKERS_FOLDER": str(work / "tracks"),
            "TRACKERS_TO_EVAL": ["one"],
            "BENCHMARK": BENCHMARKS[form],
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": lengths,
            "GT_LOC_FORMAT": "{gt_folder}/{seq}.txt",
            "PRINT_CONFIG": False,
        }
    )


def kitti(gt, tracks, kind, work):
    seqmap = []
    for sequence in sorted(path for path in gt.iterdir() if path.is_dir()):
        text = (sequence / "gt.txt").read_text()
        found = rows_of(tracks / f"{sequence.name}.txt")
        truth = [line.split() for line in text.splitlines()]
        frames = frames_of(sequence, truth, 0)
        seqmap.append(f"{sequence.name} empty 000000 {frames:06d}")
        (work / "gt/label_02").mkdir(parents=True, exist_ok=True)
        (work / "gt/label_02" / f"{sequence.name}.txt").write_text(text)
        rows = []
        for row in found:
            left, top, width, height = (float(value) for value in row[2:6])
            box = [repr(value) for value in (left, top, left + width, top + height)]
            rows.append([str(int(row[0]) - 1), row[1], kind, "0", "0", "-10", *box, *["-1"] * 7, row[6]])
        write(work / "tracks/one/data" / f"{sequence.name}.txt", rows, " ")
    (work / "gt/evaluate_tracking.seqmap.training").write_text("\n".join(seqmap) + "\n")
    return trackeval.datasets.Kitti2DBox(
        {
            "GT_FOLDER": str(work / "gt"),
            "TRACKERS_FOLDER": str(work / "tracks"),
            "TRACKERS_TO_EVAL": ["one"],
            "CLASSES_TO_EVAL": [kind],
            "PRINT_CONFIG": False,
        }
    )


def write(path, rows, apart=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(apart.join(row) + "\n" for row in rows))


def plain_value(value):
    if isinstance(value, np.ndarray):
        return [float(item) for item in value]
    return float(value)


def main():
    gt, tracks, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    kind = sys.argv[4] if len(sys.argv) > 4 else "pedestrian"
    metrics = [trackeval.metrics.HOTA(), *(
        metric({"PRINT_CONFIG": False}) for metric in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)
    )]
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        work = Path(work)
        dataset = kitti(gt, tracks, kind, work) if form == "kitti" else mot(gt, tracks, form, work)
        evaluator = trackeval.Evaluator(
            {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False,
             "PLOT_CURVES": False, "TIME_PROGRESS": False, "LOG_ON_ERROR": None}
        )
        results, _ = evaluator.evaluate([dataset], metrics)
    scored = next(iter(results.values()))["one"]
    json.dump(
        {
            sequence: {
                metric: {name: plain_value(value) for name, value in figures.items()}
                for metric, figures in classes[kind].items()
            }
            for sequence, classes in scored.items()
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
