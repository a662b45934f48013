"""Serves the OpenAPI document (`/openapi.json` as JSON, `/docs` as HTML), and `/`, which says what this is."""

from flask import Blueprint, Response, jsonify, render_template

from wallet_hooks.openapi.document import specification


def blueprint() -> Blueprint:
    documents = Blueprint("openapi", __name__)

    @documents.get("/openapi.json")
    def openapi_json() -> Response:
        return jsonify(specification())

    @documents.get("/docs")
    def docs() -> Response:
        return _page(render_template("docs.html", spec=specification()))

    @documents.get("/")
    def start() -> Response:
        return _page(render_template("start.html"))

    return documents


def _page(html: str) -> Response:
    response = Response(html)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
