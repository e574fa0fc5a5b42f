#!/usr/bin/env python3
"""Writes what `.ci/real-servers` saw as a page: `real-servers.py FOLDER SECONDS COMMIT NOTE KIND…`.

FOLDER has, for each KIND of server and each step, `KIND-STEP.command`, `.seconds`, `.txt` and, of a run, `.json`.
"""

import datetime
import json
import re
import sys
from pathlib import Path

TITLES = {"vllm": "vLLM", "llama-cpp": "llama.cpp"}
STEPS = {
    "check": "Is it fit to be measured?",
    "record": "The first run records",
    "accept": "What was recorded is accepted",
    "run": "The same server again",
    "pairs": "Prefix caching off and on, in pairs",
}


def text(folder, name):
    """What a command printed, with paths that another machine has as well."""
    said = (folder / f"{name}.txt").read_text()
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    # The table and its sums; what each case says in words is in the run's report.
    said = re.sub(r"\n\n\S+: [A-Z]+ on profile .*", "", said, flags=re.DOTALL)
    said = said.replace(str(folder.parent), "$TOKPACE_SERVERS").replace(str(Path(__file__).parents[1]), ".")
    return said.strip()


def percent(ratio):
    return f"{(ratio - 1) * 100:+.1f} %"


def number(value):
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def again(run):
    """The table of a run against the accepted baseline."""
    yield "| case | check | accepted | now | change, 90 % interval | limit | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for case in run["cases"]:
        for check in case["checks"]:
            if not check.get("ci"):
                continue
            # Ratios are those of costs: a throughput's is the other way round.
            turn = (lambda ratio: 1 / ratio) if check["higher_is_better"] else (lambda ratio: ratio)
            low, high = sorted(turn(bound) for bound in check["ci"])
            change = f"{percent(turn(check['ratio']))} [{percent(low)}, {percent(high)}]"
            unit = check["unit"]
            yield (
                f"| {case['case']} | `{check['metric']}` | {number(check['reference'])} {unit} | "
                f"{number(check['value'])} {unit} | {change} | `{check['limit']}` | {check['verdict']} |"
            )


def caching(run):
    """The table of prefix caching on and off."""
    share = lambda value: "no counter" if value is None else f"{value * 100:.1f} %"
    yield "| `ttft.p50` off | on | on / off, 90 % interval | pairs | hit ratio by `usage`: off, on | by `/metrics`: off, on | verdict |"
    yield "|---|---|---|---|---|---|---|"
    for case in run["cases"]:
        prefix = case.get("prefix")
        if not prefix:
            continue
        ttft = next(check for check in case["checks"] if check["metric"] == "ttft.p50")
        low, high = ttft["ci"]
        off, on = prefix["reference"] or {}, prefix["candidate"]
        yield (
            f"| {number(ttft['reference'])} ms | {number(ttft['value'])} ms | {ttft['ratio']:.3f} [{low:.3f}, {high:.3f}] | "
            f"{case['pairs_used']} | {share(off.get('hit_ratio'))}, {share(on['hit_ratio'])} | "
            f"{share(off.get('counter_hit_ratio'))}, {share(on['counter_hit_ratio'])} | {case['verdict']} |"
        )


def page(folder, seconds, commit, note, kinds):
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*-*.json"))}
    machine = next(iter(runs.values()))["run"]["machine"]
    yield "# Real servers"
    yield ""
    yield (
        f"What `.ci/real-servers` saw on {datetime.date.today()}, in {round(seconds / 60)} minutes: real servers as managed targets, "
        "each recorded, accepted, measured again and compared with itself without its prefix cache."
    )
    yield ""
    yield f"- Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_mib'] // 1024} GiB, {machine['os_version']}; server and client share the cores."
    yield f"- tokpace {runs[kinds[0] + '-run']['run']['tokpace']}, {machine['build']} build, commit `{commit}`."
    yield "- Model: four million random weights with the bundled tokenizer (`.ci/tiny-model.py`); its answers never end by themselves."
    yield "- Tolerances are wide, as two shared cores ask for: 30 % of `ttft.p50`, 20 % of `tpot.p50` and `output_throughput`."
    if note:
        yield f"- {note}"
    for kind in kinds:
        yield ""
        yield f"## {TITLES[kind]}"
        for step, title in STEPS.items():
            name = f"{kind}-{step}"
            if not (folder / f"{name}.txt").exists():
                continue
            command = (folder / f"{name}.command").read_text().strip()
            took = (folder / f"{name}.seconds").read_text().strip()
            yield ""
            yield f"### {title}"
            yield ""
            tables = {"run": again, "pairs": caching}
            if step in tables:
                yield from tables[step](runs[name])
                yield ""
            yield f"`{command}`, {took} s:"
            yield ""
            yield "```text"
            yield text(folder, name)
            yield "```"


def main():
    folder, seconds, commit, note, *kinds = sys.argv[1:]
    print("\n".join(page(Path(folder), float(seconds), commit, note, kinds)))


if __name__ == "__main__":
    main()
