"""The bug museum: which of the course's tests catches which fault.

    python -m exercises.museum                      # all twenty
    python -m exercises.museum lora-without-rank    # one, or several

Each fault of exercises/faults.py is switched on, and the one test that is named for it is run, in
this process and with a fresh copy of all chapters. Before that the tests are run without a fault:
there they have to pass. museum.ipynb shows the faults to a reader, who writes such tests.
"""

import argparse
import os
import sys

from course.terminal import replace_unprintable
from exercises.faults import FAULTS, ROOT, find_fault, switched_on


class Outcomes:
    """What pytest reports of each test, by its name without the folder."""

    def __init__(self):
        self.of, self.broken = {}, ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("/")[2]
            self.of[name] = report.outcome if report.when == "call" else f"broken in {report.when}"

    def pytest_collectreport(self, report) -> None:
        if report.failed:
            self.broken = str(report.longrepr).strip().splitlines()[-1]


def run_tests(names: list[str]) -> Outcomes:
    """Run tests such as test_ch03.py::test_it without a word."""
    os.environ["MPLBACKEND"] = "Agg"
    import pytest  # after the models' own packages it would come with every command

    outcomes = Outcomes()
    places = [(ROOT / "tests" / name).as_posix() for name in dict.fromkeys(names)]
    quiet = ("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist")
    pytest.main([*quiet, f"--rootdir={ROOT}", *places], plugins=[outcomes])
    return outcomes


def verdict(outcomes: Outcomes, test: str) -> str:
    """passed, failed, or what else became of a test, of its variants the worst."""
    found = {said for name, said in outcomes.of.items() if name.partition("[")[0] in test}
    if outcomes.broken or not found:
        return f"not run: {outcomes.broken or 'there is no such test'}"
    return max(found, key=["skipped", "passed", "failed"].index) if len(found) > 1 else found.pop()


def main() -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m exercises.museum",
        description="Switch faults on, and show which of the course's tests catches each.",
    )
    parser.add_argument("faults", nargs="*", help="their names; without any, all")
    chosen = parser.parse_args().faults
    try:
        faults = [find_fault(name) for name in chosen] or FAULTS
        with switched_on(faults[0].name):
            pass
    except ValueError as error:
        parser.error(str(error))
    right = run_tests([fault.test for fault in faults])
    n_caught = 0
    for fault in faults:
        before = verdict(right, fault.test)
        try:
            with switched_on(fault.name):
                after = verdict(run_tests([fault.test]), fault.test)
        except ValueError as error:
            after = f"not run: {error}"
        caught = (before, after) == ("passed", "failed")
        n_caught += caught
        said = "caught" if caught else f"NOT CAUGHT (without it {before}, with it {after})"
        print(f"{fault.number:<5} {fault.name:<26} {said} by tests/{fault.test}", flush=True)
        print(f"{'':<5} stood in {fault.stood}", flush=True)
    print(f"{n_caught} of {len(faults)} faults are caught")
    return 0 if n_caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
