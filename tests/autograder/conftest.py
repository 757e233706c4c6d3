"""`pytest --from-zygote tests/autograder/sandbox tests/autograder/redteam`: the same tests, of forks."""

from __future__ import annotations

import threading

import psutil
import pytest

from autograder.sandbox.child_process import Child
from autograder.sandbox.forks import Zygote
from tests import preloaded

COMPARE = ("test_forks.py", "test_walls_of_forks.py", "test_forked_records.py")  # forks with children that start afresh


@pytest.fixture(scope="session")
def programs():
    """A folder with a `python` and an `autograder` that start at once."""
    with preloaded.programs() as folder:
        yield folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--from-zygote"):
        items[:] = [item for item in items if item.path.name not in COMPARE]


@pytest.fixture(scope="session", autouse=True)
def every_child_is_forked(request):
    if not request.config.getoption("--from-zygote"):
        yield
        return
    plain, made, lock = Child.__init__, [Zygote(modules=())], threading.Lock()

    def forked(self, *args, **options):
        with lock:
            if made[-1].why:  # a test has spoilt it
                made.append(Zygote(modules=()))
            zygote = options.get("zygote") or made[-1]
        plain(self, *args, **options | {"zygote": zygote})

    def closed(self, close=Child.close):
        keepers = [root.parent() for root in self._watchdog._roots[1:] if root.is_running()]
        close(self)
        psutil.wait_procs([keeper for keeper in keepers if keeper], timeout=30)

    made[0]._begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "__init__", forked)
        patch.setattr(Child, "close", closed)
        yield
    for zygote in made:
        zygote.close()
