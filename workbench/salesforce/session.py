"""One login for everybody: the token is cached, and renewed once for all who were refused with it.

Used by the REST half and by the Pub/Sub half alike.
"""

from __future__ import annotations

import asyncio
import time

from workbench import codec
from workbench.errors import (
    AuthenticationError,
    AuthorizationError,
    SalesforceError,
    ServerError,
    TransportError,
)
from workbench.salesforce.credentials import Credentials, Grant
from workbench.salesforce.grants import (
    TOKEN_PATH,
    Token,
    form_of,
    login_refusal,
    long_id,
    org_of_token,
    token_of,
)
from workbench.salesforce.hosts import HostKind, kind_of_host
from workbench.salesforce.transport import Transport

__all__ = ["MAX_FRUITLESS_RENEWALS", "Session"]

# A fresh token that is refused as if it were expired, this often in a row, is a policy at work,
# and going on would lock the user out ("Login Rate Exceeded").
MAX_FRUITLESS_RENEWALS = 3

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class Session:
    """Gives out the token of one user in one org.

    The token is never revoked on closing: other processes of the same user share the session.
    A refused login is final: it is told again without asking Salesforce again, since repeating it
    locks users out, until `reset`.
    """

    def __init__(self, credentials: Credentials, transport: Transport) -> None:
        self.credentials = credentials
        self._transport = transport
        self._token: Token | None = None
        self._refusal: SalesforceError | None = None
        self._login: asyncio.Task[Token] | None = None
        self._fruitless = 0
        if credentials.access_token and credentials.instance_url:
            self._token = Token(
                credentials.access_token,
                credentials.instance_url,
                org_of_token(credentials.access_token),
            )

    @property
    def current(self) -> Token | None:
        """The token in use, None before the first login."""
        return self._token

    @property
    def username(self) -> str:
        """The user in the credentials file; empty for client credentials, which name none."""
        return self.credentials.username

    @property
    def host_kind(self) -> HostKind:
        """What kind of org it is, as far as host names tell; by the API host once logged in."""
        return kind_of_host(self._token.instance_url if self._token else self.credentials.login_url)

    async def token(self) -> Token:
        """The cached token, or that of a login made now.

        Raises:
            AuthenticationError, AuthorizationError: refused until a person changes something.
            RequestLimitError: too many logins.
            ServerError, TransportError: the login host is in trouble or out of reach; `sent` is
                always False, since nothing of the caller's has left.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._token is not None:
            return self._token
        return await self._log_in_once()

    async def renew(self, refused: Token) -> Token:
        """The token to use instead of one that was refused as expired: one login for all waiters.

        Raises:
            AuthenticationError: also when fresh tokens keep being refused.
            And as `token`.
        """
        if self._token is not None and self._token.access_token == refused.access_token:
            self._token = None
            self._fruitless += 1
            if self._fruitless > MAX_FRUITLESS_RENEWALS:
                self._refusal = AuthenticationError(
                    f"{refused.instance_url} refuses every new session as expired; "
                    "see the org's session settings and the policies of the connected app",
                    code="INVALID_SESSION_ID",
                    status=401,
                )
        return await self.token()

    def accepted(self) -> None:
        """Note that Salesforce accepted a call with the current token."""
        self._fruitless = 0

    def reset(self) -> None:
        """Forget a refused login, after a person has changed something."""
        self._refusal = None
        self._fruitless = 0

    async def _log_in_once(self) -> Token:
        # Shielded: a waiter that is cancelled must not take the login of the others with it.
        if self._login is None:
            self._login = asyncio.ensure_future(self._log_in())
            self._login.add_done_callback(self._login_ended)
        return await asyncio.shield(self._login)

    def _login_ended(self, login: asyncio.Task[Token]) -> None:
        self._login = None
        if not login.cancelled():
            login.exception()  # every waiter may be gone; then nobody else looks at it

    async def _log_in(self) -> Token:
        credentials = self.credentials
        try:
            if credentials.grant is Grant.READY_TOKEN:
                raise AuthenticationError(
                    f"the ready-made access_token in {credentials.source!r} is expired or wrong; "
                    "put in a new one, or a client_id and what else a login needs",
                    code="INVALID_SESSION_ID",
                )
            reply = await self._transport.send(
                "POST",
                credentials.login_url + TOKEN_PATH,
                _FORM,
                form_of(credentials, time.time()),
            )
            if reply.status != 200:
                raise login_refusal(credentials, reply.status, reply.body)
            token = token_of(reply.body, credentials.login_url)
        except (AuthenticationError, AuthorizationError) as error:
            self._refusal = error
            raise
        except TransportError as error:
            # Of what the caller wanted to send nothing has left, whatever became of the login.
            raise TransportError(f"cannot log in: {error}", sent=False) from error
        if credentials.instance_url:
            token = Token(token.access_token, credentials.instance_url, token.org_id, token.user_id)
        self._token = token
        return token

    async def identify(self) -> Token:
        """The token with `org_id` and `user_id` filled in, asking Salesforce where it must.

        Raises:
            ServerError: userinfo did not answer as documented.
            And as `token`.
        """
        token = await self.token()
        if token.org_id and token.user_id:
            return token
        reply = await self._transport.send(
            "GET",
            token.instance_url + "/services/oauth2/userinfo",
            {"Authorization": f"Bearer {token.access_token}", "Accept": "application/json"},
        )
        try:
            value = codec.decode(reply.body)
            org_id, user_id = value["organization_id"], value["user_id"]
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"{token.instance_url} did not tell who is logged in (HTTP {reply.status})",
                status=reply.status,
            ) from error
        known = Token(token.access_token, token.instance_url, long_id(org_id), long_id(user_id))
        if self._token == token:
            self._token = known
        return known
