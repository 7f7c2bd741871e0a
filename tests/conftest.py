"""What every test starts from: the same random numbers, and no more threads than its share."""

import os
from types import ModuleType

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is first imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that wants a hub brings its own
os.environ["COURSE_LANGUAGE"] = "en"  # whatever the machine speaks
os.environ["COURSE_PRECISION"] = "float32"  # whatever its processor is fast in

import pytest  # noqa: E402
import torch  # noqa: E402

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def refusal(monkeypatch):
    """Run a command's main with some options; give the one line with which it refuses, or none."""

    def run(module: ModuleType, *options: object) -> str:
        monkeypatch.setattr("sys.argv", [module.__name__, *map(str, options)])
        try:
            module.main()
        except SystemExit as stopped:
            assert isinstance(stopped.code, str) and len(stopped.code.strip().splitlines()) == 1
            return stopped.code
        return ""

    return run
