/* Topic patterns of AMQP 0-9-1: words between dots; `*` is one word, `#` any number, none too. */
#pragma once

#include "base/base.h"

bool tn__topic_matches(tn_str pattern, tn_str key);
