/* Contacts: attempts with backoff and jitter, told to the log without flooding it. */
#include "messaging/contact.h"

#include <assert.h>
#include <sys/random.h>

enum { TELL_AGAIN_US = 60 * 1000000 };

static unsigned random_below(unsigned n)
{
    unsigned bits = 0;
    /* Without randomness there is no jitter, which is all that it's for. */
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits)
        return 0;
    return bits % n;
}

int tn__backoff_ms(int base_ms, int max_ms, int failures)
{
    assert(base_ms > 0 && max_ms >= base_ms && failures > 0);
    int64_t ms = base_ms;
    for (int i = 1; i < failures && ms < max_ms; i++)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    return (int)(ms - random_below((unsigned)ms / 2 + 1));
}

void tn__contact_init(tn__contact *contact, const char *name, int retry_ms, int retry_max_ms)
{
    *contact = (tn__contact){ .name = name,
        .retry_ms = retry_ms,
        .retry_max_ms = retry_max_ms,
        .down_since_us = tn__mono_us() };
}

void tn__contact_up(tn__contact *contact)
{
    int64_t down_ms = (tn__mono_us() - contact->down_since_us) / 1000;
    TN_LOG(TN_INFO, "connected", TN_LOG_Z("to", contact->name), TN_LOG_I("after_ms", down_ms),
        TN_LOG_I("failures", contact->failures));
    contact->up = true;
    contact->failures = 0;
}

static void tell(tn__contact *contact, const char *what, tn_str why, int64_t now_us)
{
    contact->told_us = now_us;
    TN_LOG(TN_WARN, what, TN_LOG_Z("to", contact->name), TN_LOG_S("reason", why),
        TN_LOG_I("failures", contact->failures),
        TN_LOG_I("down_ms", (now_us - contact->down_since_us) / 1000));
}

void tn__contact_down(tn__contact *contact, tn_str why)
{
    int64_t now_us = tn__mono_us();
    bool was_up = contact->up;
    contact->up = false;
    contact->failures++;
    if (was_up)
        contact->down_since_us = now_us;
    contact->retry_at_us = now_us +
        (int64_t)tn__backoff_ms(contact->retry_ms, contact->retry_max_ms, contact->failures) * 1000;
    if (was_up)
        tell(contact, "connection lost", why, now_us);
    else if (contact->failures == 1 || now_us - contact->told_us >= TELL_AGAIN_US)
        tell(contact, "can't connect", why, now_us);
}

bool tn__contact_due(const tn__contact *contact, int64_t now_us)
{
    return !contact->up && now_us >= contact->retry_at_us;
}
