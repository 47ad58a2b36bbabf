"""`experiments serve`: a run's answers over HTTP."""

from __future__ import annotations

import signal
import socket

from experiments.errors import Interrupted, UserError
from experiments.run.not_a_run import require_run
from experiments.system.arguments import Parser
from experiments.system.terminal import waiting

_ABOUT = """\
Answers over HTTP what `experiments predict` answers: POST /predict with {"inputs": [...], "top": 3}, where an input is a text, a
file in base64, or parts with names. GET / says what the run is and reads, GET /openapi.json and /docs the schema. It listens to this machine alone unless
--host says otherwise; it has no accounts and no encryption, so put a server that has them before it.
"""


def main(words: list[str]) -> int:
    """Loads the run and serves it until it is stopped.

    Raises:
        UserError: when the run cannot be loaded, a limit cannot be, or a package is missing.
    """
    parser = Parser("experiments serve", _ABOUT)
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    parser.add_argument("--megabytes", type=float, default=16.0, help="the largest request (16)")
    parser.add_argument("--inputs", type=int, default=16, help="the most inputs of a request (16)")
    parser.add_argument("--seconds", type=float, default=30.0, help="the longest a request may take (30)")
    options = parser.parse_args(words)
    if not (options.megabytes > 0 and options.inputs > 0 and options.seconds > 0 and 0 <= options.port < 65536):
        raise UserError("--megabytes, --inputs and --seconds must be above 0 and --port below 65536: leave them out for the usual ones")  # fmt: skip
    require_run(options.run)
    try:
        import uvicorn

        from experiments.commands.serve_app import Limits, application
    except ImportError as error:
        raise UserError(
            f"serve needs {error.name}, which is not installed: pip install 'lightning-experiments[serve]'"
        ) from None
    with waiting("loading the network"):
        from experiments.commands.answering import Answerer
        from experiments.run.loaded import load

        answerer = Answerer(load(options.run, "serve"), "serve")
    limits = Limits(int(options.megabytes * 1e6), options.inputs, options.seconds)
    with _listening(options.host, options.port) as listening:
        host = f"[{options.host}]" if ":" in options.host else options.host
        print(f"{answerer.name}: http://{host}:{listening.getsockname()[1]}/docs", flush=True)
        server = uvicorn.Server(uvicorn.Config(application(answerer, limits), log_level="warning"))
        try:
            server.run([listening])
        except Interrupted as stop:  # Ctrl-C is how a server ends
            if stop.signum != signal.SIGINT:
                raise
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket at an address; uvicorn itself would end with a code of its own where another program has it."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UserError(f"--host {host} --port {port} cannot be opened ({error.strerror}): choose another") from None
    return listening
