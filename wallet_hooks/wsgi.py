"""The WSGI application: `gunicorn -c python:wallet_hooks.server wallet_hooks.wsgi:app`."""

from gunicorn.errors import AppImportError

from wallet_hooks.app import create_app
from wallet_hooks.settings import ConfigurationError, Settings

try:
    app = create_app(Settings.from_env())
except ConfigurationError as error:
    raise AppImportError(f"wallet-hooks: {error}") from None  # gunicorn prints it and stops, without retrying
