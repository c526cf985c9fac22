"""The protocols a service speaks: each turns bytes into columns and predictions into bytes.

A protocol is a module with one function, ``routes(manifest, pipeline) -> list[Route]``. It holds no HTTP and no
scoring: ``asgi`` hands it a body that was read whole, ``pipeline`` checks the columns and scores them.
"""
