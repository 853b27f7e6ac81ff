"""The language of the flow file: every section and field, declared once.

The loader, the JSON Schema, the reference page and the editor's completion read these tables.
"""

from __future__ import annotations

from workbench.flow.declaration import Field, Requirement, Section
from workbench.flow.kinds import Choice, DurationOf, Flag, Free, Integer, ListOf, Number, Text
from workbench.flow.shapes import ApiVersion, Payload, Tasks

__all__ = [
    "COMPOSITE",
    "FILE",
    "FLOW",
    "KNOWN_TASKS",
    "PUBLISHER",
    "RUN_TASKS",
    "SUBSCRIBER",
]

SUBSCRIBER = "nats_jetstream_subscriber"
COMPOSITE = "salesforce_restapi_composite"
PUBLISHER = "salesforce_pubsubapi_publisher"


_NAME = Text(r"^[^\x00-\x1f]{1,200}$", "must be at most 200 characters in one line")
_TOKEN = Text(r"^[^\s.*>/\\]+$", "can't hold spaces, dots, '*', '>' or slashes", scope="env")
_SUBJECT = Text(
    r"^([^\s.>]+\.)*([^\s.>]+|>)$",
    "must be a NATS subject: words joined by dots, '*' for one, a last '>' for the rest",
    scope="env",
)
_API_NAME = Text(
    r"^[A-Za-z][A-Za-z0-9_.]*$", "must be an API name: letters, digits, '_'", scope="env"
)
_FIXED = Text(scope="env")

RETRY = Section(
    "retry",
    "Short retries within one delivery; long ones are the subscriber's `backoff`.",
    (
        Field(
            "max_attempts",
            Integer(1, 100),
            "How often a record is sent during its first delivery, the first try included.",
            default=4,
            example="4",
        ),
        Field(
            "initial_backoff",
            DurationOf(),
            "The wait before the second try; it doubles from there, give or take half.",
            default="500ms",
            example="500ms",
        ),
    ),
)

BATCH = Section(
    "batch",
    "How records are gathered into requests.",
    (
        Field(
            "max_records",
            Integer(1, 200),
            "Records in one request at most.",
            default=200,
            example="200",
        ),
        Field(
            "linger",
            DurationOf(is_positive=False),
            "How long a request waits for more records before it leaves unfilled.",
            default="20ms",
            example="20ms",
        ),
        Field(
            "max_in_flight",
            Integer(1, 100),
            "Requests on their way at the same time.",
            default=8,
            example="8",
        ),
    ),
)

_DEPENDS_ON = Field(
    "depends_on",
    ListOf(Text(), or_one=True),
    "The earlier tasks whose results this task receives; without it, the task just before.",
    example="[start_subscription]",
)
_RETRY = Field("retry", RETRY, RETRY.description)

STREAM = Section(
    "stream",
    "The JetStream stream the events lie in.",
    (
        Field("name", _TOKEN, "The stream's name.", is_required=True, example="crm"),
        Field(
            "subjects",
            ListOf(_SUBJECT, or_one=True),
            "What the stream collects; the task's subject where it is left out.",
            example='["crm.>"]',
        ),
        Field(
            "create_or_update",
            Flag(),
            "Make the stream, or bring it in line with this file, at start; otherwise it must "
            "be there.",
            default=False,
            example="true",
        ),
        Field("max_age", DurationOf(), "How long an event is kept.", example="1h"),
        Field("max_bytes", Integer(1, also=-1), "Size limit; -1 for none.", example="2147483648"),
        Field("max_messages", Integer(1, also=-1), "Limit in events; -1 for none."),
        Field("max_messages_per_subject", Integer(1, also=-1), "Limit per subject; -1 for none."),
        Field(
            "max_message_size",
            Integer(1, 2**31 - 1, also=-1),
            "The largest event accepted, in bytes; -1 for the server's own limit.",
        ),
        Field(
            "retention",
            Choice(("limits", "interest", "workqueue"), {"work_queue": "workqueue"}),
            "When events leave: at the limits, when all consumers have them, or when one has.",
            example="limits",
        ),
        Field(
            "discard",
            Choice(("old", "new")),
            "What gives way at the limits: the oldest events, or new publishes.",
            example="old",
        ),
        Field(
            "duplicate_window",
            DurationOf(),
            "How long the server remembers message ids to drop repeats.",
            example="2m",
        ),
        Field("description", Text(), "A sentence for people."),
        Field("replicas", Integer(1, 5), "Copies in the cluster.", example="1"),
        Field("storage", Choice(("file", "memory")), "Where the server keeps it.", example="file"),
        Field("max_consumers", Integer(1, also=-1), "Consumers at most.", is_ignored=True),
        Field("allow_direct", Flag(), "Direct reads.", is_ignored=True),
        Field("allow_batch_publish", Flag(), "Atomic batches.", is_ignored=True),
        Field("allow_rollup", Flag(), "Rollup headers.", is_ignored=True),
        Field("deny_delete", Flag(), "No deletes of single events.", is_ignored=True),
        Field("deny_purge", Flag(), "No purges.", is_ignored=True),
    ),
)

_TASK_NAME = Field(
    "name",
    _NAME,
    "The task's name, unique in the flow; in logs, metrics and failed batches.",
    is_required=True,
    example="upsert_contacts",
)

SUBSCRIBER_SECTION = Section(
    SUBSCRIBER,
    "Source: receives events from a JetStream stream through a durable pull consumer.",
    (
        _TASK_NAME,
        Field(
            "credentials_path",
            _FIXED,
            "File with the NATS login: JSON with an nkey seed, or a `.creds` file.",
            example="/etc/nats/credentials.json",
        ),
        Field(
            "url",
            _FIXED,
            "Server, or several joined by commas.",
            default="nats://localhost:4222",
            example='"{{env.NATS_URL}}"',
        ),
        Field(
            "subject",
            _SUBJECT,
            "Which events of the stream to receive.",
            is_required=True,
            example="crm.contacts.upsert",
        ),
        Field("stream", STREAM, STREAM.description + " Found by the subject where left out."),
        Field(
            "durable_name",
            _TOKEN,
            "The consumer's name, shared by all processes of this flow; the flow's name where "
            "left out.",
            example="salesforce_composite_upsert_contact",
        ),
        Field(
            "ack_timeout",
            DurationOf(),
            "How long the flow may take over one event.",
            example="120s",
        ),
        Field(
            "max_deliver",
            Integer(1, 100_000, also=-1),
            "How often an event is tried before it becomes a failed batch; -1 for no end.",
            default=5,
            example="5",
        ),
        Field(
            "backoff",
            ListOf(DurationOf()),
            "How long a failed event waits before each next delivery; the last step repeats. "
            "1s, 10s, 1m, 5m where left out.",
            example='["10s", "30s", "1m", "5m"]',
        ),
        Field("max_messages", Integer(1, 100_000), "Events asked for at a time.", example="500"),
        Field(
            "max_ack_pending",
            Integer(1, 1_000_000, also=-1),
            "Events that may be on their way at once, over all processes.",
            example="2000",
        ),
        Field("delay", DurationOf(False), "A pause after each fetch.", example="1s"),
        Field("throttle", DurationOf(False), "The least time between two events.", example="10ms"),
        Field("max_waiting", Integer(1), "Open pull requests of the consumer.", is_ignored=True),
        _DEPENDS_ON,
        _RETRY,
    ),
)

_SF_CREDENTIALS = Field(
    "credentials_path",
    _FIXED,
    "JSON file with the Salesforce login; what it holds chooses the kind of login.",
    is_required=True,
    example="/etc/sfdc/credentials.json",
)
_BATCH = Field("batch", BATCH, BATCH.description, is_ours=True)

COMPOSITE_SECTION = Section(
    COMPOSITE,
    "Writes, reads or deletes records over the sObject collections of the REST API.",
    (
        _TASK_NAME,
        Field(
            "operation",
            Choice(("create", "get", "update", "upsert", "delete", "tree")),
            "What to do with the records.",
            is_required=True,
            example="upsert",
        ),
        _SF_CREDENTIALS,
        Field(
            "sobject_type",
            _API_NAME,
            "The object; becomes `attributes.type` where a record has none.",
            is_required=True,
            example="Contact",
        ),
        Field(
            "external_id_field",
            _API_NAME,
            "The field that tells which row is meant.",
            example="ExternalId__c",
        ),
        Field(
            "all_or_none",
            Flag(),
            "All records of an event are written, or none.",
            default=False,
            example="true",
        ),
        Field(
            "allow_duplicate_save",
            Flag(),
            "Write records that a duplicate rule would hold back.",
            default=False,
            example="false",
        ),
        Field(
            "payload",
            Payload(many=True),
            "The records: the event's data, or fields with templates. A mapping that uses "
            "`record` gives one record per element of `event.data`.",
            example="{from_event: true}",
        ),
        Field(
            "ids",
            ListOf(Text(scope="event"), or_one=True),
            "Record ids for `get` and `delete`; a template may give one id or a list.",
            example='"{{event.data.ids}}"',
        ),
        Field(
            "fields",
            ListOf(Text(scope="env"), or_one=True),
            "Fields to read with `get`, as a list or joined by commas.",
            example="[Id, Name]",
        ),
        Field(
            "order_by",
            Text(scope="record"),
            "Records with an equal value keep their order and are never on their way together; "
            "the record's key where left out. `record` is the rendered record.",
            example='"{{record.AccountId}}"',
            is_ours=True,
        ),
        _BATCH,
        _DEPENDS_ON,
        _RETRY,
    ),
    (
        Requirement("operation", ("upsert",), ("external_id_field",)),
        Requirement("operation", ("create", "update", "upsert", "tree"), ("payload",)),
        Requirement("operation", ("get", "delete"), ("ids", "payload")),
        Requirement("operation", ("get",), ("fields",)),
    ),
)

PUBLISHER_SECTION = Section(
    PUBLISHER,
    "Publishes platform events over the Pub/Sub API.",
    (
        _TASK_NAME,
        _SF_CREDENTIALS,
        Field(
            "topic",
            Text(r"^/[A-Za-z]+/[A-Za-z0-9_]+$", "must look like /event/Name__e", scope="env"),
            "The platform event's topic.",
            is_required=True,
            example="/event/OrderStatus__e",
        ),
        Field(
            "payload",
            Payload(many=False),
            "The event's fields: the data as it is, or fields with templates.",
            is_required=True,
            example="{from_event: true}",
        ),
        Field(
            "endpoint",
            _FIXED,
            "Host and port of the Pub/Sub API.",
            default="api.pubsub.salesforce.com:7443",
            example="api.pubsub.salesforce.com:7443",
        ),
        Field(
            "order_by",
            Text(scope="record"),
            "Events with an equal value keep their order and are never on their way together; "
            "no order where left out. `record` is the rendered event.",
            example='"{{record.Order_ID__c}}"',
            is_ours=True,
        ),
        Field(
            "accept_duplicates",
            Flag(),
            "Whether an event is sent again when the answer to it was lost. Salesforce would not "
            "notice a second one, so the event is kept as failed unless subscribers can bear it.",
            default=False,
            example="true",
            is_ours=True,
        ),
        _BATCH,
        _DEPENDS_ON,
        _RETRY,
    ),
)

FAILED = Section(
    "failed",
    "Where failed batches are kept, and when a row of them pauses the flow.",
    (
        Field(
            "stream",
            _TOKEN,
            "The JetStream stream that holds them.",
            default="workbench_failed",
            example="workbench_failed",
        ),
        Field("max_age", DurationOf(), "How long they are kept; for ever where left out."),
        Field("replicas", Integer(1, 5), "Copies in the cluster.", default=1, example="3"),
        Field(
            "pause_after",
            Integer(1, 1_000_000),
            "Events in a row that fail for the request's own fault before the source pauses.",
            default=20,
            example="20",
        ),
    ),
)

API_BUDGET = Section(
    "api_budget",
    "The part of the org's daily API calls that this flow may bring the org to.",
    (
        Field(
            "daily_share",
            Number(0, 1),
            "Pause when this share of the org's daily calls is used.",
            default=0.8,
            example="0.8",
        ),
    ),
)

RUN_TASKS: dict[str, Section] = {
    SUBSCRIBER: SUBSCRIBER_SECTION,
    COMPOSITE: COMPOSITE_SECTION,
    PUBLISHER: PUBLISHER_SECTION,
}
"""The task types that workbench runs."""

KNOWN_TASKS: frozenset[str] = frozenset(
    """
    ai_completion braze_export_users_ids buffer convert gcp_bigquery_job gcp_bigquery_query
    gcp_bigquery_storage_read gcp_bigquery_storage_write generate git_sync html_scrape
    http_endpoint http_request iterate llm_proxy log mcp_prompt mcp_resource mcp_tool
    mongodb_change_stream mongodb_collection mssql_query nats_jetstream_publisher nats_kv_store
    object_store oci_sync salesforce_bulkapi_query_job salesforce_pubsubapi_subscriber
    salesforce_restapi_search salesforce_restapi_sobject salesforce_soapapi_merge
    salesforce_toolingapi script
    """.split()  # noqa: SIM905
)
"""Task types of the connve/flowgen family (release 0.134) that workbench knows and does not run."""


FLOW = Section(
    "flow",
    "A flow: a source of events and what is done with them.",
    (
        Field(
            "name",
            _NAME,
            "The flow's name in logs, metrics and failed batches.",
            is_required=True,
            example="salesforce_composite_upsert_contact",
            is_named_after_file=True,
        ),
        Field("labels", Free(), "Labels of your own.", example="{team: crm}"),
        Field("retry", RETRY, RETRY.description + " For tasks that have none of their own."),
        Field("failed", FAILED, FAILED.description, is_ours=True),
        Field("api_budget", API_BUDGET, API_BUDGET.description, is_ours=True),
        Field(
            "api_version",
            ApiVersion(),
            "Version of Salesforce's API; chosen by workbench where left out.",
            example='"65.0"',
            is_ours=True,
        ),
        Field("require_leader_election", Flag(), "One instance at a time.", is_ignored=True),
        Field("parallel_instances", Integer(1), "Instances per process.", is_ignored=True),
        Field(
            "tasks",
            Tasks(RUN_TASKS, KNOWN_TASKS, SUBSCRIBER),
            "The tasks in order; the first is the source. Each item is `- <type>:` with the "
            "task's settings below it.",
            is_required=True,
        ),
    ),
)

FILE = Section(
    "file",
    "A workbench flow file.",
    (Field("flow", FLOW, FLOW.description, is_required=True),),
)
