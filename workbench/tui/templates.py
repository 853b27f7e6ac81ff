"""New flows to begin with: one for each operation, and one that publishes platform events."""

from __future__ import annotations

__all__ = ["TEMPLATES", "new_flow"]

_SOURCE = """\
flow:
  name: {name}
  tasks:

    - nats_jetstream_subscriber:
        name: start_subscription
        credentials_path: /etc/nats/credentials.json
        url: "{{{{env.NATS_URL}}}}"
        subject: {subject}
        stream:
          name: crm
          subjects: ["crm.>"]
          create_or_update: true
          max_age: 1d
        durable_name: {name}
        ack_timeout: "120s"
        max_deliver: 5
        backoff: ["10s", "30s", "1m", "5m"]
"""

_COMPOSITE = """
    - salesforce_restapi_composite:
        name: {operation}_contacts
        operation: {operation}
        credentials_path: /etc/sfdc/credentials.json
        sobject_type: Contact
"""

_REST = {
    "upsert": """\
        external_id_field: ExternalId__c
        payload:
          ExternalId__c: "{{event.data.id}}"
          LastName: "{{event.data.last_name}}"
          Email: "{{event.data.email}}"
""",
    "create": """\
        # A create that is sent twice makes two rows: upsert is safer where there is a key.
        payload:
          LastName: "{{event.data.last_name}}"
          Email: "{{event.data.email}}"
""",
    "update": """\
        payload:
          Id: "{{event.data.salesforce_id}}"
          Email: "{{event.data.email}}"
""",
    "delete": """\
        ids: ["{{event.data.salesforce_id}}"]
""",
    "get": """\
        ids: ["{{event.data.salesforce_id}}"]
        fields: [Id, LastName, Email]
""",
    "tree": """\
        payload:
          from_event: true
""",
}

_PUBLISHER = """
    - salesforce_pubsubapi_publisher:
        name: publish_event
        credentials_path: /etc/sfdc/credentials.json
        topic: /event/OrderStatus__e
        payload:
          Order_ID__c: "{{event.data.order_id}}"
          Status__c: "{{event.data.status}}"
"""

TEMPLATES: dict[str, str] = {
    "upsert": "write contacts by external id: repeating is harmless",
    "create": "insert contacts",
    "update": "change contacts by Salesforce id",
    "delete": "delete contacts by Salesforce id",
    "get": "read contacts by Salesforce id, for a task that follows",
    "tree": "insert records with their children, one request per event",
    "publish": "publish platform events over the Pub/Sub API",
}
"""What `new_flow` takes, with a sentence for each."""


def new_flow(kind: str) -> str:
    """The text of a new flow."""
    if kind == "publish":
        name = "publish_order_status"
        return _SOURCE.format(name=name, subject="crm.orders") + _PUBLISHER
    text = _SOURCE.format(name=f"contacts_{kind}", subject=f"crm.contacts.{kind}")
    return text + _COMPOSITE.format(operation=kind) + _REST[kind]
