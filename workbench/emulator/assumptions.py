"""What the emulator does, and what that rests on: the one table of its assumptions.

`python -m workbench.emulator --assumptions` prints it. The marks:

    doc      Salesforce's documentation says so
    obs      seen in a named client, test, fixture or thread, not in Salesforce's own documents
    unsure   an inference or a choice; a real org may do otherwise

Section numbers are those of the project's collected facts on REST writes, for Pub/Sub those on the
Pub/Sub API (public material as of November 2026). Nothing here was compared with a live org.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ASSUMPTIONS", "Assumption", "as_markdown"]


@dataclass(frozen=True, slots=True)
class Assumption:
    """One line of the table."""

    area: str
    behaviour: str
    rests_on: str
    mark: Literal["doc", "obs", "unsure"]


_LOGIN = "login"
_ROWS = "rows"
_COLLECTIONS = "collections"
_COMPOSITE = "composite"
_LIMITS = "limits"
_HTTP = "HTTP"
_QUERY = "query"
_PUBSUB = "Pub/Sub"

# fmt: off
ASSUMPTIONS = tuple(
    Assumption(area, behaviour, rests_on, mark)  # type: ignore[arg-type]
    for area, behaviour, rests_on, mark in (
        # --- login
        (_LOGIN, "The token answer has id, instance_url, issued_at in ms as text, token_type and "
         "signature, and no expires_in; scope comes with client credentials and JWT only.",
         "1 Token response: jsforce's type, restforce's fixture", "obs"),
        (_LOGIN, "signature is the base64 HMAC-SHA256 of id + issued_at under the client secret.",
         "1 Token response", "unsure"),
        (_LOGIN, "Refusals are 400 with an object: invalid_grant, invalid_client_id, "
         "unsupported_grant_type.", "1 Token errors: help page, clients' tests", "obs"),
        (_LOGIN, "A wrong secret is invalid_client; a rate refusal is 403 invalid_grant.",
         "no source for code and status", "unsure"),
        (_LOGIN, "Credentials are read from the body (or Basic), never from the query string; a "
         "security token after the password is refused, the caller's address counting as trusted.",
         "1 Endpoints: help page", "doc"),
        (_LOGIN, "Client credentials work at any address; a real org refuses login and test hosts.",
         "1 Endpoints: simple-salesforce refuses them itself", "obs"),
        (_LOGIN, "A JWT may name the login or test host or the emulator as aud; exp may be a "
         "text, and as far ahead as it likes.",
         "1 Endpoints: ceiling unknown; simple-salesforce sends a text", "unsure"),
        (_LOGIN, "userinfo with a dead token is 403 with the text Bad_OAuth_Token.",
         "no source", "unsure"),
        (_LOGIN, "Sessions end after two idle hours, by revoke or by fault; then 401 "
         "INVALID_SESSION_ID. Revoking ends that one token only.",
         "1 Session life", "doc"),
        (_LOGIN, "An Authorization header of another scheme is 401 INVALID_AUTH_HEADER.",
         "1 Session life: airbyte thread", "obs"),
        (_LOGIN, "Policy refusals come as a bare object, not an array.",
         "1 Session life: jsforce's test", "obs"),
        (_LOGIN, "SOAP login() answers up to v64 and faults from v65.",
         "1 Retirement picture", "doc"),
        # --- rows
        (_ROWS, "A row is checked in this order: values as they stand, required fields, faults, "
         "validation rules, duplicate rules, uniqueness; the first kind of failure is reported, "
         "validation rules all at once.", "5: errors may hold several entries", "unsure"),
        (_ROWS, "An unknown field refuses its row (INVALID_FIELD), not the call.",
         "5 table: usually all rows", "unsure"),
        (_ROWS, "A date that cannot be read is JSON_PARSER_ERROR for the whole call; another wrong "
         "type is INVALID_TYPE_ON_FIELD_IN_RECORD for its row.", "5 table", "unsure"),
        (_ROWS, "Numbers and booleans are taken as text for text fields, numeric texts for "
         "numbers; an empty text is null; text is not trimmed; numbers are rounded to scale.",
         "no source", "unsure"),
        (_ROWS, "Field, object and relationship names match in any case.", "no source", "unsure"),
        (_ROWS, "Keys compare without case unless declared caseSensitive.",
         "0.5: the echoed value is lower-cased", "obs"),
        (_ROWS, "A parent named by external id that is not there: INVALID_FIELD, Foreign key "
         "external ID; a null nested object changes nothing.",
         "2 Relationship by external id: several clients", "obs"),
        (_ROWS, "A lookup to an id that does not exist is INVALID_CROSS_REFERENCE_KEY, to one of "
         "another object MALFORMED_ID.", "5 table", "unsure"),
        (_ROWS, "Deleting does not cascade and leaves lookups as they are.", "no source", "unsure"),
        (_ROWS, "A taken unique value: DUPLICATE_VALUE with the 15-character id of the other row.",
         "0.6: threads", "obs"),
        (_ROWS, "A single row by a key that fits several rows: 300 and their urls; in collections "
         "DUPLICATE_EXTERNAL_ID.", "2 Results: REST/errorcodes, CORE, restforce", "doc"),
        (_ROWS, "A path whose id is none of the object's: 404, as for an unknown external id.",
         "2 Single-row upsert: restforce's fixture is of the field only", "unsure"),
        (_ROWS, "A single-row upsert answers 201 or 200 from v46 on, before that 204 for a change.",
         "2 Single-row upsert", "obs"),
        (_ROWS, "Repeating the key, or Id, in the body of a single-row call is refused with "
         "INVALID_FIELD.", "2 Single-row upsert; the code has no source", "unsure"),
        (_ROWS, "A lock refuses single rows; Salesforce documents it for the whole batch.",
         "10: clients treat it as per record", "unsure"),
        (_ROWS, "Calls are worked one after the other, so two upserts of a new key never race; "
         "the race fault refuses the loser as a real org would.", "0.6: threads", "obs"),
        (_ROWS, "A duplicate rule compares whole values without case; allowSave in the header "
         "overrules it where the rule allows.", "6 Headers", "doc"),
        (_ROWS, "updated and deleted tell ids by SystemModstamp, from any moment on; of deleted "
         "rows the last 10,000 of an object.", "no source: documented, but with 30 days", "unsure"),
        # --- collections
        (_COLLECTIONS, "200 rows, 2,000 ids for retrieve by POST, 10 chunks of one type.",
         "2 table", "doc"),
        (_COLLECTIONS, "Too many rows: 400 EXCEEDED_ID_LIMIT.",
         "2 More than 200: text seen, status presumed", "unsure"),
        (_COLLECTIONS, "Too many chunks: 400 LIMIT_EXCEEDED with the wording of Apex.",
         "2 Chunks: code unknown", "unsure"),
        (_COLLECTIONS, "created stands in every successful upsert row and in no failed one, except "
         "after a full rollback, where every row says created: true.",
         "2 Results, 0.3: documented examples, jsforce's live test", "obs"),
        (_COLLECTIONS, "Rolled-back update and upsert rows keep their id, created rows have none; "
         "every culprit is named.", "0.3, 2 Rollback text", "doc"),
        (_COLLECTIONS, "One key twice in an upsert: all its rows fail with DUPLICATE_VALUE, the "
         "value in lower case.", "0.5: ingestr", "obs"),
        (_COLLECTIONS, "An upsert row without its key: MISSING_ARGUMENT; with a record id: "
         "INVALID_FIELD_FOR_INSERT_UPDATE; attributes.type may be left out.",
         "2 table: no record id; codes have no source", "unsure"),
        (_COLLECTIONS, "Id is no external id field: 404.", "2 table: docs say external ids only",
         "doc"),
        (_COLLECTIONS, "A record without a known attributes.type refuses a create or update call "
         "with 400 INVALID_TYPE.", "2 table: required; code has no source", "unsure"),
        (_COLLECTIONS, "A bad id refuses its row; update of an unknown one is "
         "INVALID_CROSS_REFERENCE_KEY, of a deleted one ENTITY_IS_DELETED.", "5 table", "doc"),
        (_COLLECTIONS, "Upsert from v46, the rest from v42; older versions answer 404.",
         "2 Versions", "doc"),
        (_COLLECTIONS, "allOrNone false does not run anything again: there are no triggers.",
         "0.7", "unsure"),
        # --- composite, tree, graph
        (_COMPOSITE, "Under an outer allOrNone the first failure takes all back; its own response "
         "stays, rows of an inner allOrNone false keep success: true; every other response, "
         "earlier ones too, becomes PROCESSING_HALTED.",
         "4 table; how earlier collections are shown is not documented", "unsure"),
        (_COMPOSITE, "A composite holds 25 subrequests, 5 of them collections or queries; beyond "
         "that 400 LIMIT_EXCEEDED. So 1,000 rows fit in one atomic call.",
         "4: limits documented, code and the thousand are not", "unsure"),
        (_COMPOSITE, "A reference that is a whole value keeps its type, inside a text it becomes "
         "text; names are case-sensitive; one that leads nowhere fails its own subrequest with "
         "PROCESSING_HALTED. References in a url may be percent-encoded.",
         "4 syntax; the rest has no source", "unsure"),
        (_COMPOSITE, "Subrequests run in order, whatever collateSubrequests says.",
         "4: order is not guaranteed for collated ones", "unsure"),
        (_COMPOSITE, "A shape that breaks a rule is 400 INVALID_INPUT for the whole call.",
         "4 requests_composite: 400; code has no source", "unsure"),
        (_COMPOSITE, "A batch runs in order without a transaction and counts each subrequest; "
         "haltOnError skips the rest with 412.", "4 Composite Batch", "doc"),
        (_COMPOSITE, "Tree: 200 records, 5 types, 5 levels; 201, results level by level; a failure "
         "is 400 and names the offending references only.", "3", "obs"),
        (_COMPOSITE, "Tree without referenceId: 403.", "3: one blog", "unsure"),
        (_COMPOSITE, "Graph: 75 graphs, 500 nodes, depth 15, 15 kinds of nodes; after more than 14 "
         "failed graphs the rest is PROCESSING_HALTED; single rows only.",
         "4 Composite Graph", "doc"),
        # --- limits
        (_LIMITS, "5,000,000 calls a day, a full sandbox's; counted from start or reset, not over "
         "a rolling day; a hard cap.", "6 Daily calls", "doc"),
        (_LIMITS, "Every call of the data API counts, refused sessions and limits excepted; the "
         "versions list, logins and userinfo do not; one for a composite however large.",
         "6 Sforce-Limit-Info, 4", "unsure"),
        (_LIMITS, "Sforce-Limit-Info has api-usage only and does not lag.", "6", "doc"),
        (_LIMITS, "REQUEST_LIMIT_EXCEEDED is 403; daily, concurrent and Apex limits differ in "
         "their text.", "5: threads", "obs"),
        (_LIMITS, "Concurrency is not limited unless a fault says so.", "6 Concurrency", "unsure"),
        # --- HTTP
        (_HTTP, "v31 to v68; 30 and older 410, unknown ones 404.", "2 API versions", "doc"),
        (_HTTP, "GET /services/data needs no session and is not counted.", "7", "unsure"),
        (_HTTP, "JSON only: another Content-Type is 415, an Accept without JSON 406.",
         "5: statuses documented, XML exists there", "unsure"),
        (_HTTP, "Several slashes before services are one; a slash at the end of a path is nothing.",
         "no source; the Salesforce CLI itself calls //services/data/...", "obs"),
        (_HTTP, "A URI above 16,384 bytes is 414, a body above 50 MB 413 "
         "EXCEEDED_MAX_SIZE_REQUEST.", "6 Size", "unsure"),
        (_HTTP, "A .json suffix is never cut off.", "7: v58 and later have none", "doc"),
        (_HTTP, "Retry-After comes only from a fault.", "6", "obs"),
        (_HTTP, "Answers above 1 KB are packed for those who accept gzip.", "6", "doc"),
        (_HTTP, "instance_url is the address at which the client reached the emulator.",
         "1: call what the answer says; a real one is fixed", "unsure"),
        # --- query
        (_QUERY, "Pages of 2,000 rows, Sforce-Query-Options from 200; texts compare without case; "
         "blank values sort first; queryAll adds the last 10,000 deleted rows of an object.",
         "general knowledge", "unsure"),
        (_QUERY, "What soql.py does not know is MALFORMED_QUERY, though a real org may run it.",
         "by design", "unsure"),
        # --- Pub/Sub
        (_PUBSUB, "A schema id is base64url of MD5 of Avro's parsing canonical form; fields are "
         "optional, dates and times longs in milliseconds.", "4.1 to 4.3: four live captures",
         "obs"),
        (_PUBSUB, "A replay id is a position in 8 bytes and two zero bytes; 8 bytes are taken too; "
         "positions are shared by all topics and jump between requests.", "0.5, 5: logs", "obs"),
        (_PUBSUB, "A failed event is an error in its own result, its neighbours pass: above 1 MB, "
         "an id above 36 characters, a wrong schema id, bytes that are no datum of it to the last "
         "one, a blank CreatedById. The sentences are ours.",
         "0.2, 3.11, 3.12; which of these are per event is partly a guess", "unsure"),
        (_PUBSUB, "Above the hourly events each event fails with LIMIT_EXCEEDED.",
         "3.12: the code is documented, its shape is not", "unsure"),
        (_PUBSUB, "5,000,000 events an hour, which no edition has; unary Publish is not throttled "
         "unless a fault says so.", "3.12, 0.1", "unsure"),
        (_PUBSUB, "A request above 4 MB ends with UNAVAILABLE, upstream connect error.", "3.12",
         "doc"),
        (_PUBSUB, "An older schema id is accepted while Avro can reconcile it with today's; "
         "the response names the present one.", "3.13", "doc"),
        (_PUBSUB, "An event keeps the publisher's id on delivery.", "3.11: implied", "unsure"),
        (_PUBSUB, "Text lengths, number precision, CreatedDate and whether CreatedById exists are "
         "not checked.", "4.4", "unsure"),
        (_PUBSUB, "Responses of a publish stream keep the order of requests, and no empty ones "
         "come.", "3.4, 3.9: open", "unsure"),
        (_PUBSUB, "A publish stream without a valid event for 1,800 s ends with CANCELLED.",
         "3.8: live text; the document says 70 s", "obs"),
        (_PUBSUB, "Where 2.4 names a code without its gRPC status, the status is chosen; the "
         "trailer of the rpc id is called rpc-id.", "2.4", "unsure"),
        (_PUBSUB, "An unknown topic is NOT_FOUND, a name that is no topic name PERMISSION_DENIED.",
         "2.4: live tests", "obs"),
        (_PUBSUB, "A session is checked when a call starts, and not again while its stream lasts.",
         "2.3: the documents imply it", "unsure"),
        (_PUBSUB, "instanceurl is judged by its form; the tenant by its last part, 15 or 18 "
         "characters.", "2.2", "unsure"),
        (_PUBSUB, "Credits add up to 100; keepalives come every 60 s with the tip as "
         "latest_replay_id; without credit for 60 s the stream ends as RST_STREAM.",
         "5: 270 s documented, 60 s seen; the status is a guess", "obs"),
        (_PUBSUB, "A replay id of another run, or past retention, is replayid.corrupted.", "2.4",
         "doc"),
        (_PUBSUB, "Managed: a commit is answered at once, the slot is free when the client is "
         "gone, 1,800 s without a commit end it with DEADLINE_EXCEEDED.", "5, 2.4: logs", "obs"),
        (_PUBSUB, "An event posted as a row answers OPERATION_ENQUEUED with the event's id as "
         "message; an empty text stays one.", "4.4; the message is general knowledge", "unsure"),
    )
)
# fmt: on


def as_markdown() -> str:
    """The table, for people."""
    lines = ["| area | what the emulator does | rests on | mark |", "|---|---|---|---|"]
    lines += [f"| {a.area} | {a.behaviour} | {a.rests_on} | {a.mark} |" for a in ASSUMPTIONS]
    return "\n".join(lines)
