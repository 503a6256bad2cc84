"""Writes with older schemas what our service reads, and reads what it writes: confluent-kafka-python.

Arguments: bootstrap servers, registry URL, prefix of topics. Writes rides with two versions of a schema to
PREFIXavro-in and PREFIXjson-in, then prints what comes on PREFIXavro-out and PREFIXjson-out, one JSON per line.
"""

import datetime
import decimal
import json
import sys
import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

servers, url, prefix = sys.argv[1:]
registry = SchemaRegistryClient({"url": url})
deadline = time.monotonic() + 60


def avro(*fields):
    at = {"type": "long", "logicalType": "timestamp-millis"}
    fields = [
        {"name": "zone", "type": "string"},
        {"name": "at", "type": at},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["Street", "Airport"]}},
        *fields,
    ]
    return json.dumps({"type": "record", "name": "Ride", "namespace": "city", "fields": fields})


def schema(**fields):
    fields = {"zone": {"type": "string"}, "at": {"type": "string"}, "tags": {"type": "array"},
              "price": {"type": "string"}, "kind": {"type": "string"}, **fields}
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "title": "Ride", "type": "object",
                       "properties": fields, "required": ["id", "zone"],
                       # Open, a new field would break the rules of registries.
                       "additionalProperties": False})


KEY = json.dumps({"type": "record", "name": "RideKey", "namespace": "city",
                  "fields": [{"name": "city", "type": "string"}, {"name": "id", "type": "int"}]})
JSON_KEY = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "title": "RideKey", "type": "object",
                       "properties": {"city": {"type": "string"}, "id": {"type": "integer"}}})
# First an int, and no note; then a long, and a note.
VERSIONS = [
    (avro({"name": "id", "type": "int"}), schema(id={"type": "integer"}), {}),
    (avro({"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"], "default": None}),
     schema(id={"type": "integer"}, note={"type": "string"}), {"note": "late"}),
]

producer = Producer({"bootstrap.servers": servers})


def send(topic, key_serializer, serializer, key, value):
    topic = prefix + topic
    producer.produce(
        topic,
        key=key_serializer(key, SerializationContext(topic, MessageField.KEY)),
        value=serializer(value, SerializationContext(topic, MessageField.VALUE)),
    )


AT = datetime.datetime(2025, 1, 31, 6, 0, 0, 123000, tzinfo=datetime.timezone.utc)
for number, (avro_text, json_text, more) in enumerate(VERSIONS):
    ride = {"id": number, "zone": "Zócalo", "tags": ["a", "b"], "kind": "Airport", **more}
    key = {"city": "CDMX", "id": number}
    send("avro-in", AvroSerializer(registry, KEY), AvroSerializer(registry, avro_text), key,
         {**ride, "at": AT, "price": decimal.Decimal("12.30")})
    send("json-in", JSONSerializer(JSON_KEY, registry), JSONSerializer(json_text, registry), key,
         {**ride, "at": "2025-01-31T06:00:00.123Z", "price": "12.30"})
assert producer.flush(30) == 0, "not all was written"

# A reader that is older than the writer, and one that takes the writer's schema.
OLDER = json.dumps({"type": "record", "name": "Ride", "namespace": "city",
                    "fields": [{"name": "id", "type": "long"}, {"name": "area", "type": "string"}]})
consumer = Consumer({"bootstrap.servers": servers, "group.id": prefix + "peer", "auto.offset.reset": "earliest",
                     "topic.metadata.refresh.interval.ms": 500})
consumer.subscribe([prefix + "avro-out", prefix + "json-out"])
full, older, plain = AvroDeserializer(registry), AvroDeserializer(registry, OLDER), JSONDeserializer(None, schema_registry_client=registry)
left = 2 * len(VERSIONS)
while left:
    assert time.monotonic() < deadline, f"{left} records have not come"
    message = consumer.poll(1)
    if message is None:
        continue
    if message.error():
        print("waiting:", message.error(), file=sys.stderr)
        continue
    topic = message.topic()
    key = SerializationContext(topic, MessageField.KEY)
    value = SerializationContext(topic, MessageField.VALUE)
    if topic.endswith("avro-out"):
        seen = {"key": full(message.key(), key), "value": full(message.value(), value),
                "older": older(message.value(), value)}
    else:
        seen = {"key": plain(message.key(), key), "value": plain(message.value(), value)}
    print(json.dumps({"topic": topic[len(prefix):], **seen}, default=str, sort_keys=True), flush=True)
    left -= 1
consumer.close()
