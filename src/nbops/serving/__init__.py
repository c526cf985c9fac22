"""The runtime that every bundle carries: one model behind HTTP, answering in the protocols that platforms speak.

The bundle writer copies this folder into a service's wheel, so it imports only itself (relatively) and what a
slim service needs: msgspec, uvicorn, prometheus-client, numpy, and pandas when the scoring function runs.
A request passes three floors: ``asgi`` (HTTP: routes, limits, tokens), a protocol (bytes ⇄ columns) and the
scorer (columns → predictions); ``signature`` stands between the last two and refuses whatever the model was
not trained on, naming row and field.
"""
