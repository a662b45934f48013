"""Serves the OpenAPI document: `/openapi.json` as JSON, `/docs` as HTML."""

from flask import Blueprint, Response, jsonify, render_template

from wallet_hooks.openapi.document import specification


def blueprint() -> Blueprint:
    documents = Blueprint("openapi", __name__)

    @documents.get("/openapi.json")
    def openapi_json() -> Response:
        return jsonify(specification())

    @documents.get("/docs")
    def docs() -> Response:
        response = Response(render_template("docs.html", spec=specification()))
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return documents
