"""SOAP login(), because simple-salesforce and jsforce log in with it when given a password only.

Nothing else of the SOAP API is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from .org import Org

__all__ = ["login", "refused_login"]

GONE_SINCE = 65
"""login() is gone from v65 on.
https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_login.htm
(2026-11-23)"""
_BAD_LOGIN = "Invalid username, password, security token; or user locked out."
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns="urn:partner.soap.sforce.com" '
    'xmlns:sf="urn:fault.partner.soap.sforce.com" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"
)


def login(org: Org, base_url: str, path: str, body: bytes) -> tuple[int, str]:
    """Answer a call to /services/Soap/u/NN.0: status and XML."""
    version = path.rstrip("/").split("/")[-1]
    number = version.partition(".")[0]
    if not number.isdigit() or int(number) >= GONE_SINCE:
        return _fault("UNSUPPORTED_API_VERSION", f"login() does not exist in API version {version}")
    found = _credentials(body)
    if found is None:
        return _fault("INVALID_OPERATION", "Only login() is here, with a username and a password")
    username, password = found
    wanted = org.credentials
    if username.lower() != wanted.username.lower() or password != wanted.password:
        return _fault("INVALID_LOGIN", _BAD_LOGIN)
    return 200, _ENVELOPE.format(_result(org, base_url, version))


def refused_login() -> tuple[int, str]:
    """What a `login` fault answers here."""
    return _fault("INVALID_LOGIN", _BAD_LOGIN)


def _credentials(body: bytes) -> tuple[str, str] | None:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return None
    try:
        tree = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None
    texts = {e.tag.rpartition("}")[2]: (e.text or "").strip() for e in tree.iter()}
    if "login" not in texts or "username" not in texts or "password" not in texts:
        return None
    return texts["username"], texts["password"]


def _fault(code: str, text: str) -> tuple[int, str]:
    return 500, _ENVELOPE.format(
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode>"
        f"<faultstring>{code}: {escape(text)}</faultstring>"
        f"<detail><sf:LoginFault><sf:exceptionCode>{code}</sf:exceptionCode>"
        f"<sf:exceptionMessage>{escape(text)}</sf:exceptionMessage></sf:LoginFault></detail>"
        "</soapenv:Fault>"
    )


def _result(org: Org, base_url: str, version: str) -> str:
    user = org.user
    server = escape(f"{base_url}/services/Soap/u/{version}/{org.id[:15]}")
    metadata = escape(f"{base_url}/services/Soap/m/{version}/{org.id[:15]}")
    # In the order of the partner WSDL: there are clients that count, the official Python sample of
    # the Pub/Sub API among them (the ninth is the org's id).
    info = {
        "accessibilityMode": "false",
        "chatterExternal": "false",
        "currencySymbol": "$",
        "orgAttachmentFileSizeLimit": "5242880",
        "orgDefaultCurrencyIsoCode": "USD",
        "orgDefaultCurrencyLocale": "en_US",
        "orgDisallowHtmlAttachments": "false",
        "orgHasPersonAccounts": "false",
        "organizationId": org.id,
        "organizationMultiCurrency": "false",
        "organizationName": "Workbench Sandbox",
        "profileId": "",
        "roleId": "",
        "sessionSecondsValid": "7200",
        "userDefaultCurrencyIsoCode": "USD",
        "userEmail": user.email,
        "userFullName": user.name,
        "userId": user.id,
        "userLanguage": "en_US",
        "userLocale": "en_US",
        "userName": user.username,
        "userTimeZone": "Etc/UTC",
        "userType": "Standard",
        "userUiSkin": "Theme3",
    }
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in info.items())
    return (
        "<loginResponse><result>"
        f"<metadataServerUrl>{metadata}</metadataServerUrl>"
        "<passwordExpired>false</passwordExpired><sandbox>true</sandbox>"
        f"<serverUrl>{server}</serverUrl>"
        f"<sessionId>{escape(org.sessions.issue(user))}</sessionId>"
        f"<userId>{user.id}</userId><userInfo>{inner}</userInfo>"
        "</result></loginResponse>"
    )
