"""Developers' applications and their keys."""

import secrets
import string
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.models import Application, ApplicationVersion
from wallet_hooks.customers.queries import lock_customer
from wallet_hooks.database import reading, writing
from wallet_hooks.database.bulk import RowSet, find_rows, run

ACTIVE_VERSION, DELAYED_VERSION = "1.0", "1.0-DELAY"
_MAX_NAME = 100
_KEY_LENGTH = 16
_KEY_CHARACTERS = string.ascii_letters + string.digits


class _VersionRow(NamedTuple):
    """A version of an application."""

    application_id: int
    id: int


_VERSIONS = find_rows(
    RowSet("requested", ApplicationVersion.application_id, ApplicationVersion.version), ApplicationVersion, _VersionRow
)


def create_developer_app_keys(call: OperationCall) -> dict[str, Any]:
    """Create an application with two keys, one active and one delayed."""
    limit = call.settings.accounts_applications
    with writing(call.engine) as session:
        developer = lock_customer(session, call.customer.id)
        application = create_application(session, developer.id, call.given["app_name"], limit=limit, now=call.now)
        return _app_data(application, create_versions(session, application), developer.username)


def get_developer_app_keys(call: OperationCall) -> list[dict[str, Any]]:
    """Return the caller's applications with their keys."""
    with reading(call.engine) as session:
        own = select(Application).where(Application.owner_id == call.customer.id).order_by(Application.id)
        applications = list(session.scalars(own))
        versions: dict[int, list[ApplicationVersion]] = {application.id: [] for application in applications}
        of_own = ApplicationVersion.application_id.in_(versions)
        for version in session.scalars(select(ApplicationVersion).where(of_own).order_by(ApplicationVersion.id)):
            versions[version.application_id].append(version)
        return [
            _app_data(application, versions[application.id], call.customer.username) for application in applications
        ]


def create_application(session: Session, owner_id: int, name: str, *, limit: int, now: datetime) -> Application:
    """Create an application without keys. The caller holds the owner's lock.

    Raises AccountsError for an invalid or taken name, and when the owner has `limit` applications.
    """
    if not name.strip() or len(name) > _MAX_NAME:
        raise AccountsError("INVALID_INPUT_DATA", f"appName: 1 to {_MAX_NAME} characters, not only white space")
    if find_application(session, name) is not None:
        raise AccountsError("DUPLICATE_APP_NAME", "appName: this name is taken")
    owned = session.scalar(select(func.count()).select_from(Application).where(Application.owner_id == owner_id))
    if owned is not None and owned >= limit:
        raise AccountsError("APP_CREATION_FAILED", f"a developer has at most {limit} applications")
    application = Application(owner_id=owner_id, name=name, folded_name=_folded(name), created_at=now)
    session.add(application)
    session.flush()
    return application


def create_versions(session: Session, application: Application) -> list[ApplicationVersion]:
    """Create an application's two versions, each with a key. Raises AccountsError where a key is taken."""
    versions = [
        ApplicationVersion(application_id=application.id, version=version, key=_new_key(), delay_data=is_delayed)
        for version, is_delayed in ((ACTIVE_VERSION, False), (DELAYED_VERSION, True))
    ]
    session.add_all(versions)
    try:
        session.flush()
    except IntegrityError as error:
        raise AccountsError("APP_KEY_CREATION_FAILED", "the keys could not be created: try again") from error
    return versions


def find_application(session: Session, name: str) -> Application | None:
    """Return the application with a name, in any case."""
    return session.scalar(select(Application).where(Application.folded_name == _folded(name)))


def version_ids(session: Session, application_ids: set[int]) -> dict[int, int]:
    """Return the ids of the applications' active versions (1.0), by application id."""
    rows = run(session.connection(), _VERSIONS([(id_, ACTIVE_VERSION) for id_ in application_ids]))
    return {row.application_id: row.id for row in rows}


def _folded(name: str) -> str:
    return name.strip().casefold()


def _new_key() -> str:
    return "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(_KEY_LENGTH))


def _app_data(application: Application, versions: list[ApplicationVersion], owner: str) -> dict[str, Any]:
    """Return a DeveloperApp. A vendor's secret is left out: only its hash is stored."""
    vendor = {} if application.secret_hash is None else {"vendorId": str(application.id)}
    return {
        "appName": application.name,
        "appId": application.id,
        "appVersions": [
            {
                "owner": owner,
                "versionId": version.id,
                "version": version.version,
                "applicationKey": version.key,
                "delayData": version.delay_data,
                "subscriptionRequired": application.subscription_required,
                "ownerManaged": application.subscription_required,
                "active": version.active,
                **vendor,
            }
            for version in versions
        ],
    }
