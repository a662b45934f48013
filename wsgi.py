"""The WSGI application of a checkout: `gunicorn -c python:wallet_hooks.server wsgi:app`."""

from wallet_hooks.wsgi import app

__all__ = ["app"]
