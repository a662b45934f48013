"""Forms with a file. The file is on disk while the request is answered, because it may be large."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from wallet_hooks.console.texts import checked, visible
from wallet_hooks.errors import RefusedError
from wallet_hooks.web.api import ApiRequest
from wallet_hooks.web.requests import RejectedBodyError, body_length, media_type

_MULTIPART = "multipart/form-data"
_CAP = 256 * 1024 * 1024
# Of all fields; werkzeug counts a piece of the file that it has not written yet, too.
_FIELDS_CAP = 1024 * 1024
_MAX_PARTS = 20
_SUFFIXES = (".csv", ".xlsx")


class Upload(NamedTuple):
    """A submitted form: its fields, and the file, with the name that the browser gave it."""

    fields: Mapping[str, str]
    name: str
    path: Path


@contextmanager
def received(request: ApiRequest, check: Callable[[Mapping[str, str]], None]) -> Iterator[Upload]:
    """Receive a form with one file, which is deleted afterwards. Raises RejectedBodyError, RefusedError.

    `check` is called with the fields, before anything else is checked; with none for a body that is not such a form.
    """
    if media_type(request.environ) != _MULTIPART:
        check({})
    body_length(request.environ, cap=_CAP, media_types=(_MULTIPART,))
    with tempfile.TemporaryDirectory(prefix="wallet-hooks-upload-") as directory, ExitStack() as opened:
        path = Path(directory) / "upload"

        def open_file(*_: Any, **__: Any) -> IO[bytes]:
            return opened.enter_context(path.open("w+b"))

        parser = FormDataParser(
            stream_factory=open_file, max_content_length=_CAP, max_form_memory_size=_FIELDS_CAP,
            max_form_parts=_MAX_PARTS, silent=False,
        )  # fmt: skip
        try:
            _, fields, files = parser.parse_from_environ(request.environ)
        except RequestEntityTooLarge:
            raise RejectedBodyError("body_too_large") from None
        except (ValueError, OSError):
            raise RefusedError("bad_form", "the form is malformed, or did not arrive whole") from None
        check(fields)
        sent = files.get("file")
        if len(files) != 1 or sent is None or not sent.filename:
            raise RefusedError("bad_form", "file: one file is expected")
        opened.close()
        name = Path(sent.filename).name[:255]
        suffix = Path(name).suffix.lower()
        if suffix not in _SUFFIXES:
            raise RefusedError("bad_form", f"file: {name!r}; its name has to end in .csv or .xlsx")
        texts = {key: checked(value) for key, value in fields.items()}
        yield Upload(texts, visible(checked(name), "file"), path.rename(f"{path}{suffix}"))
