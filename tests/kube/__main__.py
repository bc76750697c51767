"""The servers of Kubernetes, and Weir against any cluster.

python -m tests.kube build    builds the servers, once
python -m tests.kube          runs them until Ctrl-C, and says where their kubeconfig is
python -m tests.kube smoke    tries Weir on the cluster that KUBECONFIG names
"""

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from placement.errors import ClusterUnknown
from streams.errors import StackError
from tests.kube.building import build
from tests.kube.playing import add_node, kubelet, node
from tests.kube.servers import Cluster
from tests.kube.smoke import smoke

NODES = 10
GPUS = 8


def main(arguments: list[str]) -> int:
    """Do what is asked; return the exit code."""
    begun = time.monotonic()
    try:
        if arguments == ["build"]:
            print(f"{build()} ({time.monotonic() - begun:.1f} s)")
            return 0
        if arguments in (["smoke"], ["smoke", "--keep"]):
            try_it(os.environ.get("KUBECONFIG", ""), keep="--keep" in arguments)
            return 0
        if arguments:
            print(__doc__, file=sys.stderr)
            return 2
        serve(begun)
    except (StackError, ClusterUnknown) as error:
        print(f"kube: {' '.join(str(error).split())}", file=sys.stderr)
        return 3
    except AssertionError as error:
        if not str(error):
            raise
        print(f"kube: {error}", file=sys.stderr)
        return 1
    return 0


def try_it(kubeconfig: str, *, keep: bool) -> None:
    """Try Weir on a cluster that is named, and on no other. Raises StackError without a name."""
    if not kubeconfig:
        raise StackError("name a cluster by KUBECONFIG; `python -m tests.kube` starts one")
    smoke(kubeconfig, print, keep=keep)


def serve(begun: float) -> None:
    """Build the servers once and run them, with `NODES` nodes that serve, until a signal comes."""
    build()
    with ExitStack() as ended:
        folder = ended.enter_context(tempfile.TemporaryDirectory(prefix="weir-kube-"))
        cluster = ended.enter_context(Cluster(Path(folder)))
        api = cluster.api()
        for number in range(NODES):
            add_node(api, node(f"gpu-{number}", gpus=GPUS))
        ended.enter_context(kubelet(api, {}))
        print(f"ready after {time.monotonic() - begun:.1f} s; Ctrl-C ends it")
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
