"""The HTTP application of `experiments serve`. Imported only where FastAPI is wanted; its annotations are read when it is made."""

import asyncio
import base64
import binascii
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from experiments.commands.answering import Answerer, as_json
from experiments.errors import UserError


class Limits(NamedTuple):
    """What a request may ask for."""

    size: int  # bytes of its body
    inputs: int
    seconds: float


class Request(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")
    inputs: list[str | list[float] | list[str] | dict[str, float | str]] = Field(
        min_length=1,
        description="each as GET / says under form: a text, or a file in base64; a list or an object of parts with names",
    )
    top: int | None = Field(None, ge=1, le=1000, description="how many of a ranked list; null: as the task has it")


class Response(BaseModel):
    """An answer for each input, in their order; its keys are those of `experiments predict --format json`."""

    answers: list[dict[str, Any]]


def application(answerer: Answerer, limits: Limits) -> Any:
    """Return the application that answers for a run.

    Args:
        answerer: the run.
        limits: of each request.
    """
    app = FastAPI(title="experiments", description=answerer.name, version="1")
    worker = ThreadPoolExecutor(1)  # one answer at a time: torch has the cores
    free = threading.Semaphore(4)  # requests that wait or are answered

    @app.get("/")
    def about() -> dict[str, Any]:
        return answerer.about() | {"limits": limits._asdict()}

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        if len(request.inputs) > limits.inputs:
            raise HTTPException(413, f"{len(request.inputs)} inputs are too many: send {limits.inputs} at most")
        if not free.acquire(blocking=False):
            raise HTTPException(503, "too many requests wait: try again later")
        job = worker.submit(_answers, answerer, request)
        job.add_done_callback(lambda _: free.release())  # also where nobody waits for it any more
        try:
            return Response(answers=await asyncio.wait_for(asyncio.wrap_future(job), limits.seconds))
        except TimeoutError:
            raise HTTPException(
                503, f"the answer took more than {limits.seconds:g} s: send fewer or smaller inputs"
            ) from None
        except UserError as error:
            raise HTTPException(422, str(error)) from None

    @app.exception_handler(RequestValidationError)
    async def mistaken(_: Any, error: RequestValidationError) -> JSONResponse:
        """Answers in a sentence, without what was sent, which may be no JSON (1e400)."""
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return JSONResponse({"detail": 'the request is no JSON: send {"inputs": [...]}'}, 422)
        where = first["loc"][1:]
        if len(where) > 1 and where[0] == "inputs":
            sentence = f"input {where[1] + 1} has the wrong form: give {answerer.about()['form']}"
            return JSONResponse({"detail": sentence}, 422)
        place = ".".join(str(part) for part in where) or "the request"
        return JSONResponse({"detail": f"{place}: {first['msg']}"}, 422)

    app.add_middleware(_Bounded, limits.size)
    return app


def _answers(answerer: Answerer, request: Request) -> list[dict[str, Any]]:
    answers = []
    for place, item in enumerate(request.inputs, 1):
        given: Any = item
        if answerer.takes_files and isinstance(item, str):
            try:
                given = base64.b64decode(item, validate=True)
            except (binascii.Error, ValueError):
                raise UserError(f"input {place} is no base64: encode the bytes of a file") from None
        answers.append(as_json(answerer.of(given, request.top)))
    return answers


class _Bounded:
    """Refuses a body that is larger than allowed, whether or not its head says so."""

    def __init__(self, app: Any, largest: int) -> None:
        self.app, self.largest = app, largest

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > self.largest:
                refusal = {"detail": f"the request has more than {self.largest / 1e6:g} MB: send less"}
                await JSONResponse(refusal, 413)(scope, receive, send)
                return
        body = iter([{"type": "http.request", "body": b"".join(parts), "more_body": False}])

        async def replay() -> Any:
            return next(body, None) or await receive()

        await self.app(scope, replay, send)
