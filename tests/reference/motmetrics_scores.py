"""py-motmetrics' figures for one sequence in MOTChallenge columns, as JSON on stdout.

    motmetrics_scores.py GT TRACKS

Left out are two whose definition differs from TrackEval's: mostly tracked (from 80 % here, above 80 % there)
and fragmentations. Where an object has two tracks near, py-motmetrics prefers the one that followed it last,
however long ago, TrackEval only that of the frame before: IDSW, MOTA and MOTP can then differ too.
"""

import json
import sys

import numpy as np

# Taken out of NumPy 2, still called by py-motmetrics 1.4.0.
np.asfarray = lambda values: np.asarray(values, dtype=float)

import motmetrics  # noqa: E402

FIGURES = {
    "IDF1": "idf1",
    "IDP": "idp",
    "IDR": "idr",
    "IDTP": "idtp",
    "IDFN": "idfn",
    "IDFP": "idfp",
    "MOTA": "mota",
    "CLR_Re": "recall",
    "CLR_Pr": "precision",
    "CLR_FP": "num_false_positives",
    "CLR_FN": "num_misses",
    "IDSW": "num_switches",
    "MOTP": "motp",
}


def main():
    truth = motmetrics.io.loadtxt(sys.argv[1], fmt="mot15-2D", min_confidence=1)
    tracks = motmetrics.io.loadtxt(sys.argv[2], fmt="mot15-2D")
    matches = motmetrics.utils.compare_to_groundtruth(truth, tracks, "iou", distth=0.5)
    scores = motmetrics.metrics.create().compute(matches, metrics=list(FIGURES.values()), name="one").iloc[0]
    figures = {name: float(scores[theirs]) for name, theirs in FIGURES.items()}
    # A distance there, an overlap here.
    figures["MOTP"] = 1 - figures["MOTP"]
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
