"""Prints what `benchmark.py` measured."""

from __future__ import annotations

from typing import Any


def print_report(report: dict[str, Any]) -> None:
    """Prints the machine and everything that was measured on it."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(
        f"{machine['processor']}, {machine['num_processors']} processors, load {machine['load_average']}\n{versions}\n"
    )
    if "budgets" in report:
        print_budgets(report["budgets"])
    elif "training" in report:
        print_training(report["training"])
    else:
        print_steps(report)


def print_steps(report: dict[str, Any]) -> None:
    """Prints steps per second, start-up and the comparison with the peers."""
    sizes = sorted({record["num_envs"] for record in report["steps_per_second"]})
    groups: dict[tuple[str, str, int], dict[int, int]] = {}
    for record in report["steps_per_second"]:
        key = (record["env"], record["observation"], record["num_threads"])
        groups.setdefault(key, {})[record["num_envs"]] = record["steps_per_second"]
    flatness = {
        (record["env"], record["observation"], record["num_threads"]): record["fastest_over_slowest"]
        for record in report["flatness"]
    }
    print(
        f"{'steps per second':28}{'':11}{'threads':>8}" + "".join(f"{size:>12,}" for size in sizes) + f"{'max/min':>9}"
    )
    for key, rates in groups.items():
        cells = "".join(f"{rates[size]:>12,}" if size in rates else f"{'':12}" for size in sizes)
        flat = f"{flatness[key]:9.2f}" if key in flatness else ""
        print(f"{key[0]:28}{key[1]:11}{key[2]:>8}{cells}{flat}")
    if "start_up" in report:
        start_up = report["start_up"]
        print(f"\nimport drivesim: {start_up['import_seconds']:.3f} s")
        for record in start_up["first_step"]:
            empty, warm = record["empty_cache_seconds"], record["warm_cache_seconds"]
            print(f"{record['env']:28} first step {empty:.2f} s with an empty cache, {warm:.2f} s with a warm one")
    for name, side in report.get("against", {}).items():
        if "error" in side:
            print(f"\n{name}: {side['error']}")
        else:
            times = f"; drivesim makes {side['ratio']:,.1f} times as many" if "ratio" in side else ""
            one = f", with one thread {side['ratio_one_thread']:,.1f} times" if "ratio_one_thread" in side else ""
            version = side.get("version", "")
            print(f"\n{name} {version} {side['env']}: {side['steps_per_second']:,.0f} steps per second{times}{one}")


def print_budgets(budgets: dict[str, Any]) -> None:
    """Prints a row per comparison: medians, the median ratio with its range over the turns, and the budget."""
    print(f"before: {budgets['commit'][:12]}; one thread: steps per second of CPU time\n")
    width = max(len(record["what"]) for record in budgets["rows"])
    print(f"{'what':{width}}{'before':>12}{'today':>12}  {'today/before [range]':22}{'must':18}reached")
    for record in budgets["rows"]:
        must = record.get("must", "")
        if "error" in record:
            print(f"{record['what']:{width}}  not measured: {record['error']}{f'; must {must}' if must else ''}")
            continue
        before, today = (f"{record[side]:,.{0 if record[side] >= 1000 else 2}f}" for side in ("before", "today"))
        ratio = f"{record['ratio']:.2f} [{record['ratio_min']:.2f}-{record['ratio_max']:.2f}]"
        reached = {True: "yes", False: "no", None: ""}[record.get("reached")]
        print(f"{record['what']:{width}}{before:>12}{today:>12}  {ratio:22}{must:18}{reached}")


def print_training(training: dict[str, Any]) -> None:
    """Prints steps per second of training, and how many times as many they are as the peer's."""
    print(f"{training['env']} {training['observation']}, torch {training['torch']}\n")
    print(f"{'training':12}{'steps per second':>18}{'threads':>9}{'ratio':>9}  to")
    for record in training["agents"]:
        side = record.get("peer")
        ratio = f"{record['ratio']:9.1f}" if "ratio" in record else f"{'':9}"
        print(
            f"{record['agent']:12}{record['steps_per_second']:>18,}{record['num_threads']:>9}{ratio}  {describe(side)}"
        )


def describe(side: dict[str, Any] | None) -> str:
    """One line on a peer that was trained, or could not be, or does not exist."""
    if side is None:
        return "no peer"
    if "error" in side:
        return f"{side['name']}: {side['error']}"
    version, rate = side["versions"]["stable_baselines3"], side["steps_per_second"]
    return f"{side['name']} {version}: {rate:,} with {side['num_threads']} threads, {side['adapter']} adapter"
