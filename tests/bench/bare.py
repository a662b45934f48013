"""The least that Flask can do under the same server: read a body, answer a constant."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/bets")
def bets() -> dict[str, str]:
    request.get_data()
    return {"status": "OK"}
