"""A minimal Flask app for comparison: reads a body, answers a constant."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/readyz")
def ready() -> str:
    return ""


@app.post("/bets")
def bets() -> dict[str, str]:
    request.get_data()
    return {"status": "OK"}
