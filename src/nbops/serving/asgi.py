"""The HTTP floor: a raw ASGI application that finds the route, enforces the limits and counts what it answers.

Order of checks: path, method, token, media type, announced length, then the body as it streams in. A body that is too
large is refused at once and what still comes is discarded by the server, never kept. Routes with a body run whole
(parse, check, score, encode) on one scoring thread, so that the loop keeps answering health and metrics;
past `MAX_WAITING` requests in line the service says 503 rather than hoard bodies.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from . import metrics
from .model import Model
from .openapi import openapi
from .protocols import mlflow, openinference
from .refusal import Refusal, nearest
from .routes import Request, Response, Route, respond

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_WAITING = 256
BODY_TIMEOUT = 60.0

logger = logging.getLogger("nbops.serving")


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class Service:
    """One model behind HTTP.

    Parameters
    ----------
    model
        The loaded model.
    max_body
        The largest body that is read, in bytes.
    token
        What ``Authorization: Bearer`` must carry; None lets everyone in.
    """

    def __init__(self, model: Model, *, max_body: int, token: str | None = None) -> None:
        self.model = model
        self.max_body = max_body
        self._token = token.encode() if token else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._waiting = 0
        routes = [*mlflow.routes(model), *openinference.routes(model), *self._own_routes()]
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event stream."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        started = perf_counter()
        counts = self.model.metrics
        path = scope["path"]
        route = self._routes.get(path)
        counts.in_flight.inc()
        try:
            response = await self._answer(route, path, scope, receive)
            head = [(b"content-type", response.media_type.encode()), *response.headers]
            head.append((b"content-length", str(len(response.body)).encode()))
            await send({"type": "http.response.start", "status": response.status, "headers": head})
            await send({"type": "http.response.body", "body": response.body})
        except ClientGone:
            return
        finally:
            counts.in_flight.dec()
        label = "unknown" if route is None else route.label or route.path
        counts.answered(label, response.status, perf_counter() - started)

    async def _answer(self, route: Route | None, path: str, scope: Scope, receive: Receive) -> Response:
        refuse = openinference.refuse if path == "/v2" or path.startswith("/v2/") else mlflow.refuse
        try:
            if route is None:
                hint = nearest(path[:200], self._routes)
                raise Refusal(f"no such path; {hint}", status=404, reason="unknown_path")
            return await self._route(route, scope, receive)
        except Refusal as refusal:
            self.model.metrics.refused.labels(refusal.reason).inc()
            return refuse(refusal)
        except ClientGone:
            raise
        except Exception:
            logger.exception("%s: the service itself failed", path)
            return refuse(Refusal("the service failed; its log has the cause", status=500, reason="internal"))

    async def _route(self, route: Route, scope: Scope, receive: Receive) -> Response:
        method = scope["method"]
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allow = b"GET, HEAD" if route.method == "GET" else b"POST"
            message = f"{method[:20]} is not answered here; use {allow.decode()}"
            raise Refusal(message, status=405, reason="wrong_method", headers=((b"allow", allow),))
        headers = _headers(scope["headers"])
        if self._token is not None and not route.public:
            self._check_token(headers.get(b"authorization", b""))
        if not route.accepts:
            return route.answer(Request(b"", ""))
        media_type = _media_type(headers, route.accepts)
        body = await self._body(headers, receive)
        if self._waiting >= MAX_WAITING:
            retry = ((b"retry-after", b"1"),)
            raise Refusal("too many requests in line", status=503, reason="overloaded", headers=retry)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, route.answer, Request(body, media_type))
        finally:
            self._waiting -= 1

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > self.max_body:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = event.get("body", b"")
                    size += len(chunk)
                    if size > self.max_body:
                        raise self._too_large()
                    if not event.get("more_body", False) and not chunks:
                        return bytes(chunk)
                    chunks.append(chunk)
                    if not event.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError as error:
            message = f"the body didn't arrive within {BODY_TIMEOUT:g} s"
            raise Refusal(message, status=408, reason="slow_body", headers=((b"connection", b"close"),)) from error

    def _too_large(self) -> Refusal:
        message = f"the body is larger than {self.max_body} bytes; send fewer rows a request"
        return Refusal(message, status=413, reason="body_too_large")

    def _check_token(self, authorization: bytes) -> None:
        scheme, _, given = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token or b""):
            challenge = ((b"www-authenticate", b"Bearer"),)
            message = "a valid token is required: Authorization: Bearer …"
            raise Refusal(message, status=401, reason="no_token", headers=challenge)

    def _own_routes(self) -> Iterable[Route]:
        manifest = self.model.manifest
        ok = respond({"status": "ok"})
        ready = respond({"status": "ready", "name": manifest.name, "version": manifest.version})
        description = respond(openapi(manifest))
        index = respond(
            {
                "name": manifest.name,
                "version": manifest.version,
                "routes": ["/invocations", f"/v2/models/{manifest.name}/infer", "/openapi.json", "/metrics"],
            }
        )

        def count(request: Request) -> Response:
            return Response(self.model.metrics.text(), media_type=metrics.CONTENT_TYPE)

        return [
            Route("/", "GET", lambda request: index),
            Route("/healthz", "GET", lambda request: ok, public=True),
            Route("/readyz", "GET", lambda request: ready, public=True),
            Route("/metrics", "GET", count),
            Route("/openapi.json", "GET", lambda request: description),
        ]

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                self._thread.shutdown(wait=True)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in pairs}


def _media_type(headers: dict[bytes, bytes], accepts: tuple[str, ...]) -> str:
    given = headers.get(b"content-type", b"").decode("latin-1")
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    if kind not in accepts:
        wanted = " or ".join(accepts)
        message = f"content type {given[:80] or 'missing'!r}; expected {wanted}"
        raise Refusal(message, status=415, reason="wrong_content_type")
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise Refusal("the body must be UTF-8", status=415, reason="wrong_content_type")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal("a compressed body is not read; send it plain", status=415, reason="wrong_content_type")
    return kind
