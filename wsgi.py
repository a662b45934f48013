"""The WSGI application: `gunicorn -c python:wallet_hooks.server wsgi:app`."""

from wallet_hooks.app import create_app
from wallet_hooks.settings import Settings

app = create_app(Settings.from_env())
