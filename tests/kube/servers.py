"""etcd and the servers of Kubernetes on this machine: started on free ports, ended by their ids."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from streams.embedded.processes import free_port, launch, listens, wait_until
from tests.kube.asking import Api, Document, Refused
from tests.kube.building import program

_PATIENCE_S = 60.0


class Cluster:
    """An API server with its storage, controllers and scheduler; nodes are objects alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = str(program())
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.certificates = folder / "certificates"
        self.kubeconfig = folder / "kubeconfig"
        self.port = free_port()
        self._etcd = f"http://127.0.0.1:{free_port()}"

    def start(self) -> "Cluster":
        """Start everything; returns when the API is ready. Raises StackError when it is not."""
        if not self.certificates.exists():
            self.certificates.mkdir(parents=True)
            argv = [self._program, "certificates", str(self.certificates)]
            subprocess.run(argv, check=True, timeout=30)
            self._write_kubeconfig()
        self.start_etcd()
        self.start_api()
        self.start_followers()
        return self

    def start_etcd(self) -> None:
        """Start the storage; it does not wait for the disk, since nobody needs it tomorrow."""
        peers = f"http://127.0.0.1:{free_port()}"
        self._launch(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self._etcd}",
            f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._await("etcd", int(self._etcd.rpartition(":")[2]))

    def start_api(self) -> None:
        """Start the API server; returns when it is ready."""
        held = self.certificates
        self._launch(
            "apiserver",
            f"--etcd-servers={self._etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={held / 'server.crt'}",
            f"--tls-private-key-file={held / 'server.key'}",
            f"--client-ca-file={held / 'ca.crt'}",
            f"--service-account-key-file={held / 'accounts.key'}",
            f"--service-account-signing-key-file={held / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
        )
        process, log = self._processes["apiserver"], self._log("apiserver")
        wait_until(self.ready, process, "kube-apiserver", log, _PATIENCE_S)

    def start_followers(self) -> None:
        """Start what turns Deployments into Pods, and gives these their nodes."""
        self._launch("controllers", str(self.kubeconfig))
        self._launch(
            "scheduler",
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        )

    def api(self) -> Api:
        """Return a connection of its own."""
        return Api(self.port, self.certificates)

    def ready(self) -> bool:
        """Return whether the API server answers that it is ready, and what belongs to it."""
        if not listens(self.port):
            return False
        api = self.api()
        try:
            return api.get("/readyz")["message"] == "ok" and bool(
                api.get("/api/v1/namespaces/default")
            )
        except (Refused, OSError):
            return False
        finally:
            api.close()

    def stop(self, *names: str) -> None:
        """Kill servers by name, or all: what they hold is needed by nobody."""
        for name in names or tuple(reversed(self._processes)):
            process = self._processes.pop(name)
            process.kill()
            process.wait()

    @contextmanager
    def still(self, name: str) -> Iterator[None]:
        """Have a server stand still meanwhile: it accepts connections, and answers nobody."""
        process = self._processes[name]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "Cluster":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, name: str, *arguments: str) -> None:
        self._processes[name] = launch([self._program, name, *arguments], self._log(name))

    def _await(self, name: str, port: int) -> None:
        process = self._processes[name]
        wait_until(lambda: listens(port), process, name, self._log(name), _PATIENCE_S)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _write_kubeconfig(self) -> None:
        held = self.certificates
        cluster: Document = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(held / "ca.crt"),
        }
        user = {
            "client-certificate": str(held / "admin.crt"),
            "client-key": str(held / "admin.key"),
        }
        context = {"cluster": "tests", "user": "admin", "namespace": "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "tests", "context": context}],
            "current-context": "tests",
        }
        self.kubeconfig.write_text(json.dumps(config, indent=2), "utf-8")
