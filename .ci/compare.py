"""Compares what the gate measured with what the simulated server's virtual-time twin predicts.

usage: compare.py RUN_JSON PREDICTED_JSONL

Every check that is predicted beyond its tolerance by more than the margin must be regressed, none that is predicted
within it may be, and every measured size must be within the margin of the predicted one: 2.5 points (1.5 on a
machine of its own; this one is shared), or three times the spread that the twin itself shows from run to run where that is more.
"""

import json
import sys

MARGIN = 0.025
SPREADS = 3


def main(run_path, predicted_path):
    with open(run_path, encoding="utf-8") as file:
        run = json.load(file)
    measured = {(case["case"], check["metric"]): check for case in run["cases"] for check in case["checks"]}
    problems, rows = [], 0
    with open(predicted_path, encoding="utf-8") as file:
        predictions = [json.loads(line) for line in file if line.strip()]
    for prediction in predictions:
        key = (prediction["case"], prediction["metric"])
        check = measured.get(key)
        if check is None or check.get("ratio") is None:
            problems.append(f"{key}: not measured")
            continue
        rows += 1
        expected, seen, tolerance = prediction["ratio"], check["ratio"], prediction["tolerance"]
        margin = max(MARGIN, SPREADS * prediction.get("spread", 0.0))
        print(
            f"{key[0]:<18} {key[1]:<18} predicted {expected - 1:+7.2%}  measured {seen - 1:+7.2%}"
            f"  tolerance {tolerance:.0%}  {check['verdict']}"
        )
        if abs(seen - expected) > margin:
            problems.append(f"{key}: measured {seen - 1:+.2%}, predicted {expected - 1:+.2%}")
        regressed = check["verdict"] == "regressed"
        if regressed and expected - 1 <= tolerance:
            problems.append(f"{key}: regressed although {expected - 1:+.2%} is predicted within {tolerance:.0%}")
        if not regressed and expected - 1 > tolerance + margin and not check.get("advisory"):
            problems.append(f"{key}: {check['verdict']} although {expected - 1:+.2%} is predicted")
    print(f"{rows} checks compared, {len(problems)} problems")
    for problem in problems:
        print("  " + problem, file=sys.stderr)
    return 1 if problems or not rows else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
