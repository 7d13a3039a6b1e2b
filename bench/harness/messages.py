"""Messages for activity, as items publishes them, and how fast they are recorded."""

import json
import time
import uuid

import pika
import psycopg
from harness.load import Run, cpu_seconds, forget_peak, peak_kb
from harness.service import Service
from kit.say import fail

MESSAGES = 20_000
QUEUE = "activity.events"
SECONDS_MAX = 120
ACTIVITIES = "SELECT count(*) FROM activities"


def consumption(activity: Service) -> Run:
    """Messages that wait, recorded by a service that starts: from the first row on, so that the
    start itself does not count."""
    activity.execute("TRUNCATE activities, trunnion_inbox")
    publish(activity.stack.amqp_url())
    url = activity.stack.database_url(activity.name)
    with psycopg.connect(url, autocommit=True) as db, activity.running():
        began, done_before, cpu_before = point(db, activity, 1)
        forget_peak(activity.process.pid)
        ended, done, cpu = point(db, activity, MESSAGES)
        if done == done_before:
            fail("all messages were recorded before it was looked: there are too few")
        return Run((done - done_before) / (ended - began),
                   cpu_us=(cpu - cpu_before) / (done - done_before) * 1e6,
                   peak_kb=peak_kb(activity.process.pid))


def point(db: psycopg.Connection, activity: Service, at_least: int) -> tuple[float, int, float]:
    """When so many rows were there, how many then were, and the CPU that was spent by then."""
    deadline = time.monotonic() + SECONDS_MAX
    while (done := db.execute(ACTIVITIES).fetchone()[0]) < at_least:
        if time.monotonic() > deadline:
            fail(f"{MESSAGES - done} messages are not recorded {SECONDS_MAX} s later")
        time.sleep(0.02)
    return time.monotonic(), done, cpu_seconds(activity.process.pid)


def publish(amqp_url: str) -> None:
    """All of them, to a queue that is there; gives back when the broker has them."""
    parameters = pika.URLParameters(amqp_url)
    parameters.heartbeat = 0
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_purge(QUEUE)
    for _ in range(MESSAGES):
        publish_one(channel)
    deadline = time.monotonic() + SECONDS_MAX
    while channel.queue_declare(QUEUE, passive=True).method.message_count < MESSAGES:
        if time.monotonic() > deadline:
            fail(f"the broker has not taken {MESSAGES} messages within {SECONDS_MAX} s")
        time.sleep(0.1)
    connection.close()


def publish_one(channel) -> None:
    now, correlation_id = time.time(), str(uuid.uuid4())
    body = {"id": str(uuid.uuid4()), "source_service": "items",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))}
    properties = pika.BasicProperties(
        message_id=str(uuid.uuid4()), type="item.created", app_id="items", delivery_mode=2,
        content_type="application/json", timestamp=int(now), correlation_id=correlation_id,
        headers={"correlation_id": correlation_id})
    channel.basic_publish("events", "item.created", json.dumps(body).encode(), properties)
