"""Names the species of one penguin, with the tree that penguins.ipynb trained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import joblib
import pandas as pd

MODEL = Path("results/model.joblib")


def main() -> None:
    parser = argparse.ArgumentParser(description="Name the species of one penguin.")
    parser.add_argument("--bill-length", type=float, default=46.0, metavar="MM")
    parser.add_argument("--bill-depth", type=float, default=15.0, metavar="MM")
    parser.add_argument("--flipper-length", type=float, default=215.0, metavar="MM")
    parser.add_argument("--body-mass", type=float, default=5000.0, metavar="G")
    arguments = parser.parse_args()
    if not MODEL.exists():
        sys.exit("there is no model yet: run `wardian run penguins.ipynb` first")
    penguin = pd.DataFrame(
        {
            "bill_length_mm": [arguments.bill_length],
            "bill_depth_mm": [arguments.bill_depth],
            "flipper_length_mm": [arguments.flipper_length],
            "body_mass_g": [arguments.body_mass],
        }
    )
    tree = joblib.load(MODEL)
    species = tree.predict(penguin)[0]
    likelihood = tree.predict_proba(penguin).max()
    print(f"{species} ({likelihood:.0%})")


if __name__ == "__main__":
    main()
