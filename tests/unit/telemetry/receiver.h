/* A receiver of OTLP over HTTP, on a thread of its own, that counts what it gets. It reads no more of
 * it than that: what spans look like is for those to judge who defined them (test_otlp.py). */
#pragma once

#include "base/base.h"

typedef struct receiver receiver;

receiver *receiver_open(void);
void receiver_close(receiver *r);
/* http://127.0.0.1:PORT/v1/traces; valid until it is closed. */
const char *receiver_url(const receiver *r);
/* What it answers from now on; with `hang_ms`, after that time. An answer that it keeps back comes
 * when this says a shorter time. */
void receiver_answer(receiver *r, int status, int hang_ms);
/* Spans of messages that were answered with 200; and messages of any kind. */
size_t receiver_spans(receiver *r);
size_t receiver_messages(receiver *r);
/* Waits for so many spans; false when they don't come within ten seconds. */
bool receiver_await(receiver *r, size_t n);
