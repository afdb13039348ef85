"""An API server that answers by path, for what meshvm asks of one: no cluster, and every answer that there may be."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

SECRET = "SECRETSECRETSECRET"
ISTIO = "/api/v1/namespaces/istio-system"
DEPLOYMENTS = "/apis/apps/v1/namespaces/istio-system/deployments"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class ApiServer:
    """Answers by path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.asked.append((self.command, self.path, body))
                code, answer = outer.answers.get(self.path.partition("?")[0], (404, status(404, "not found")))
                text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/html" if isinstance(answer, str) else "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET  # noqa: N815 the library calls them so

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


def config_map(**data: str) -> tuple[int, dict[str, Any]]:
    return 200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": data}


def kubeconfig(server: str, **user: Any) -> str:
    """The content of a kubeconfig file with two contexts, one of them without a cluster of its own."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "clusters": [{"name": "main", "cluster": {"server": server}}],
            "users": [{"name": "main", "user": {"token": SECRET, **user}}],
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
        }
    )


def istio_answers() -> dict[str, tuple[int, Any]]:
    """What the API server of a cluster with Istio and the namespace bookinfo answers."""
    return {
        "/api/v1/namespaces/bookinfo": (200, {"metadata": {"name": "bookinfo"}}),
        f"{ISTIO}/configmaps/istio": config_map(mesh="trustDomain: mesh.example\ndefaultConfig:\n  meshId: mesh1\n"),
        f"{ISTIO}/configmaps/istio-sidecar-injector": config_map(
            values=json.dumps({"global": {"multiCluster": {"clusterName": "one"}, "tag": "1.30.2"}})
        ),
        "/api/v1/namespaces/bookinfo/configmaps/istio-ca-root-cert": config_map(**{"root-cert.pem": "PEM"}),
        "/apis/apps/v1/namespaces/istio-system/deployments/istiod": (
            200,
            {
                "spec": {
                    "selector": {},
                    "template": {"spec": {"containers": [{"name": "d", "image": "r.example:5000/pilot:1.30.3"}]}},
                }
            },
        ),
    }
